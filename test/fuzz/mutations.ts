import type { SeededRandom } from "../../src/testing/index.js";

/** A change of one frame's bytes: length prefix, header, body. May return the frame itself where it finds nothing to change. */
type Mutation = (random: SeededRandom, frame: Buffer) => Buffer;

const loudBytes = [0, 1, 0x0a, 0x20, 0x7f, 0x80, 0xfe, 0xff] as const;
const loudNumbers = [
  0,
  1,
  2,
  127,
  128,
  1023,
  1024,
  4096,
  4097,
  65_535,
  65_536,
  65_537,
  131_073,
  4 << 20,
  (4 << 20) + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
] as const;

const shortVarints: readonly Buffer[] = Array.from({ length: 128 }, (_, value) => Buffer.of(value));

/** As protobuf writes a number; `padded`: in so many bytes at least, more than it needs. */
export function varint(value: number | bigint, padded = 1): Buffer {
  // Most of them, without the detour.
  if (padded === 1 && typeof value === "number" && value >= 0 && value < 128)
    return shortVarints[value] as Buffer;
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n || bytes.length + 1 < padded) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

function loudVarint(random: SeededRandom): Buffer {
  const value = random.pick(loudNumbers);
  switch (random.integer(0, 5)) {
    case 0:
      // As C++ writes a negative int32, in ten bytes.
      return varint(-value);
    case 1:
      return varint(value, random.integer(5, 10));
    case 2:
      // One byte too long.
      return varint(value, 11);
    case 3:
      return varint(random.word());
    default:
      return varint(value);
  }
}

// --- bytes ---

function flipBits(random: SeededRandom, frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  for (let i = random.integer(1, 8); i > 0; i--) {
    const at = random.integer(0, copy.length - 1);
    copy[at] = (copy[at] as number) ^ (1 << random.integer(0, 7));
  }
  return copy;
}

function setByte(random: SeededRandom, frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[random.integer(0, copy.length - 1)] = random.pick(loudBytes);
  return copy;
}

/** Bytes of no meaning, or some that stand elsewhere in the frame. */
function insert(random: SeededRandom, frame: Buffer): Buffer {
  const at = random.integer(0, frame.length);
  const from = random.integer(0, frame.length);
  const added = random.chance(0.5)
    ? frame.subarray(from, from + random.integer(1, 64))
    : Buffer.from(Array.from({ length: random.integer(1, 32) }, () => random.word() & 255));
  return Buffer.concat([frame.subarray(0, at), added, frame.subarray(at)]);
}

function remove(random: SeededRandom, frame: Buffer): Buffer {
  const at = random.integer(0, frame.length - 1);
  const count = random.integer(1, Math.min(32, frame.length - at));
  return Buffer.concat([frame.subarray(0, at), frame.subarray(at + count)]);
}

function truncate(random: SeededRandom, frame: Buffer): Buffer {
  return frame.subarray(0, random.integer(1, frame.length));
}

/** The four bytes in front: 4 GiB, negative, off by a few, 0, at the limit. */
function headerLength(random: SeededRandom, frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  if (copy.length < 4) return copy;
  const near = (copy.readUInt32LE(0) + random.integer(-4, 4)) >>> 0;
  copy.writeUInt32LE(random.chance(0.5) ? near : random.pick(loudNumbers), 0);
  return copy;
}

const byteMutations: readonly Mutation[] = [flipBits, setByte, insert, remove, truncate, headerLength];

// --- fields ---

/** A field of a header as it stands: its key and its value with whatever length belongs to it. */
interface Field {
  number: number;
  wireType: number;
  value: Buffer;
}

function readVarint(bytes: Buffer, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) return undefined;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return { value, end: at };
  }
  return undefined;
}

/** The fields of a message; undefined when it is none. */
export function readFields(bytes: Buffer): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at);
    if (key === undefined || key.value > 0xffff_ffff) return undefined;
    const [number, wireType] = [key.value >>> 3, key.value & 7];
    const end = valueEnd(bytes, key.end, wireType);
    if (number === 0 || end === undefined || end > bytes.length) return undefined;
    fields.push({ number, wireType, value: bytes.subarray(key.end, end) });
    at = end;
  }
  return fields;
}

function valueEnd(bytes: Buffer, at: number, wireType: number): number | undefined {
  if (wireType === 1) return at + 8;
  if (wireType === 5) return at + 4;
  const number = readVarint(bytes, at);
  if (number === undefined) return undefined;
  if (wireType === 0) return number.end;
  return wireType === 2 ? number.end + number.value : undefined;
}

export function writeFields(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = [];
  for (const { number, wireType, value } of fields) parts.push(varint(number * 8 + wireType), value);
  return Buffer.concat(parts);
}

/** A value as its wire type wants it, of numbers that break things. */
function loudValue(random: SeededRandom, wireType: number): Buffer {
  if (wireType === 1) return Buffer.alloc(8, random.pick(loudBytes));
  if (wireType === 5) return Buffer.alloc(4, random.pick(loudBytes));
  if (wireType === 2) {
    const text = Buffer.alloc(random.integer(0, 300), random.pick(loudBytes));
    // Sometimes the length says something else.
    return random.chance(0.7)
      ? Buffer.concat([varint(text.length), text])
      : Buffer.concat([loudVarint(random), text]);
  }
  return loudVarint(random);
}

type FieldMutation = (random: SeededRandom, fields: Field[], at: number) => void;

/** Groups in groups, as deep as asked, closed or not. */
function groups(random: SeededRandom): Buffer {
  const depth = random.pick([1, 50, 99, 100, 101, 5000] as const);
  const open = Buffer.alloc(depth, 0x0b);
  return random.chance(0.5) ? Buffer.concat([open, Buffer.alloc(depth, 0x0c)]) : open;
}

const fieldMutations: readonly FieldMutation[] = [
  (random, fields, at) => fields.splice(at, 1, { ...(fields[at] as Field), number: random.integer(1, 25) }),
  (random, fields, at) => fields.splice(at, 1, { ...(fields[at] as Field), wireType: random.integer(0, 7) }),
  (random, fields, at) => {
    const field = fields[at] as Field;
    field.value = loudValue(random, field.wireType);
  },
  (_random, fields, at) => fields.splice(at, 1),
  (random, fields, at) => fields.splice(random.integer(0, fields.length), 0, { ...(fields[at] as Field) }),
  (random, fields, at) => {
    const [field] = fields.splice(at, 1);
    if (field !== undefined) fields.splice(random.integer(0, fields.length), 0, field);
  },
  (random, fields) => {
    const wireType = random.pick([0, 1, 2, 5] as const);
    const number = random.pick([1, 4, 5, 6, 7, 10, 12, 15, 16, 18, 20, 21, 1000, 2 ** 29 - 1] as const);
    const field = { number, wireType, value: loudValue(random, wireType) };
    fields.splice(random.integer(0, fields.length), 0, field);
  },
  (random, fields) => {
    const value = groups(random);
    fields.splice(random.integer(0, fields.length), 0, { number: 1, wireType: 3, value });
  },
  // A message within: the same game one floor down.
  (random, fields, at) => {
    const field = fields[at] as Field;
    if (field.wireType !== 2) return;
    const length = readVarint(field.value, 0);
    if (length === undefined) return;
    const inner = readFields(field.value.subarray(length.end));
    if (inner === undefined || inner.length === 0) return;
    random.pick(fieldMutations)(random, inner, random.integer(0, inner.length - 1));
    const bytes = writeFields(inner);
    field.value = Buffer.concat([varint(bytes.length), bytes]);
  },
];

/** Mutates fields of a message; undefined when it is none. */
export function mutateFields(random: SeededRandom, message: Buffer): Buffer | undefined {
  const fields = readFields(message);
  if (fields === undefined || fields.length === 0) return undefined;
  for (let i = random.pick([1, 1, 1, 2, 3] as const); i > 0 && fields.length > 0; i--) {
    random.pick(fieldMutations)(random, fields, random.integer(0, fields.length - 1));
  }
  return writeFields(fields);
}

/** The parts of an mprpc/2 frame; undefined for bytes too short to be one. */
function partsOf(frame: Buffer): { header: Buffer; body: Buffer } | undefined {
  if (frame.length < 5) return undefined;
  const end = 4 + frame.readUInt32LE(0);
  return end > frame.length ? undefined : { header: frame.subarray(4, end), body: frame.subarray(end) };
}

function joined(header: Buffer, body: Buffer): Buffer {
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  return Buffer.concat([lead, header, body]);
}

/** Changes fields of the header and keeps its length true, so that what comes behind the first check is reached. */
function headerFields(random: SeededRandom, frame: Buffer): Buffer {
  const parts = partsOf(frame);
  const header = parts === undefined ? undefined : mutateFields(random, parts.header);
  return parts === undefined || header === undefined ? frame : joined(header, parts.body);
}

/** Changes the message and keeps its size true: what a codec gets. */
function bodyFields(random: SeededRandom, frame: Buffer): Buffer {
  const parts = partsOf(frame);
  if (parts === undefined || parts.body.length === 0 || parts.body.length > 16_384) return frame;
  const body = random.chance(0.6)
    ? mutateFields(random, parts.body)
    : random.pick(byteMutations)(random, parts.body);
  if (body === undefined) return frame;
  const header = withBodySize(parts.header, varint(body.length));
  return header === undefined ? frame : joined(header, body);
}

/** A size of the message that is not what follows. */
function bodySize(random: SeededRandom, frame: Buffer): Buffer {
  const parts = partsOf(frame);
  if (parts === undefined) return frame;
  const size = random.chance(0.3)
    ? varint(Math.max(0, parts.body.length + random.integer(-3, 3)))
    : loudVarint(random);
  const header = withBodySize(parts.header, size);
  return header === undefined ? frame : joined(header, parts.body);
}

const argsSize = 3;

function withBodySize(header: Buffer, size: Buffer): Buffer | undefined {
  const fields = readFields(header)?.filter(({ number }) => number !== argsSize);
  if (fields === undefined) return undefined;
  fields.push({ number: argsSize, wireType: 0, value: size });
  return writeFields(fields);
}

/** Numbers of calls that meet others: in use, used again, out of range. */
function callNumber(random: SeededRandom, frame: Buffer): Buffer {
  const parts = partsOf(frame);
  const fields = parts === undefined ? undefined : readFields(parts.header);
  if (parts === undefined || fields === undefined) return frame;
  const number = random.pick([5, 6] as const);
  const field = fields.find((one) => one.number === number);
  const value = random.chance(0.7) ? varint(random.integer(0, 6)) : loudVarint(random);
  if (field === undefined) fields.push({ number, wireType: 0, value });
  else field.value = value;
  return joined(writeFields(fields), parts.body);
}

/** The frame with the number of its call moved; others as they are. */
export function renumbered(frame: Buffer, by: number): Buffer {
  const parts = by === 0 ? undefined : partsOf(frame);
  const fields = parts === undefined ? undefined : readFields(parts.header);
  const field = fields?.find(({ number }) => number === 5);
  if (parts === undefined || fields === undefined || field === undefined) return frame;
  const id = readVarint(field.value, 0)?.value ?? 0;
  if (id === 0) return frame;
  field.value = varint(id + by);
  return joined(writeFields(fields), parts.body);
}

function kind(random: SeededRandom, frame: Buffer): Buffer {
  const parts = partsOf(frame);
  const fields = parts === undefined ? undefined : readFields(parts.header);
  const field = fields?.find(({ number }) => number === 4);
  if (parts === undefined || fields === undefined || field === undefined) return frame;
  field.value = varint(random.integer(0, 14));
  return joined(writeFields(fields), parts.body);
}

/** Those that leave the stream in step most of the time, so that the frames behind are read as well. */
const tame: readonly Mutation[] = [headerFields, headerFields, bodyFields, bodyFields, bodyFields, kind];
/** A number that is in use closes the connection, so not often. */
const callNumberShare = 0.01;
const wild: readonly Mutation[] = [...byteMutations, bodySize, headerFields];

/** One frame of mprpc/2, changed. */
export function mutateFrame(random: SeededRandom, frame: Buffer, isTame: boolean): Buffer {
  if (random.chance(isTame ? callNumberShare : 0.1)) return callNumber(random, frame);
  const mutations = isTame ? tame : wild;
  for (let tries = 0; tries < 4; tries++) {
    const mutated = random.pick(mutations)(random, frame);
    if (!mutated.equals(frame) && mutated.length > 0) return mutated;
  }
  return flipBits(random, frame);
}

/** Bytes of any other protocol, changed. */
export function mutateBytes(random: SeededRandom, bytes: Buffer): Buffer {
  const mutated = random.pick(byteMutations)(random, bytes);
  return mutated.length === 0 || mutated.equals(bytes) ? flipBits(random, bytes) : mutated;
}
