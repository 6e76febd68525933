import type { ClassicDialect } from "../../src/protocol/classic/classic-wire.js";
import { FrameDecoder, type FrameSink } from "../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameHeader, Kind } from "../../src/protocol/mprpc/wire/header.js";
import { defaultWireLimits } from "../../src/protocol/mprpc/wire/limits.js";
import type { SeededRandom } from "../../src/testing/index.js";
import { mutateBytes, mutateFields, mutateFrame, renumbered } from "./mutations.js";
import type { Recorded } from "./recorded.js";

/** What one evil peer says on one connection. */
export interface EvilStream {
  readonly bytes: Buffer;
  /** Where each write ends. */
  readonly cuts: readonly number[];
  /** Frames that are not as they were recorded: changed, moved, given twice or put in, and that the other side comes to. */
  readonly mutated: number;
  /** Of mprpc/2: the bytes end with a frame, and a ping sent now must be answered, unless the connection is closed. */
  readonly inStep: boolean;
  /** Of mprpc/2: why the other side must close the connection. */
  readonly malformed: string | undefined;
}

interface Piece {
  bytes: Buffer;
  mutated: boolean;
}

/** Large frames are taken now and then only: they cost time, and have little in them that could be mutated. */
const largeBytes = 16_384;

function usable(random: SeededRandom, frames: readonly Buffer[]): Buffer[] {
  const withLarge = random.chance(0.01);
  return frames.filter(({ length }) => withLarge || length < largeBytes);
}

/** Frames in another order, twice, left out, or from elsewhere. */
function disturb(random: SeededRandom, pieces: Piece[], material: readonly Buffer[]): void {
  const at = random.integer(0, pieces.length - 1);
  const to = random.integer(0, pieces.length - 1);
  switch (random.integer(0, 4)) {
    case 0: {
      const [moved] = pieces.splice(at, 1);
      if (moved !== undefined) pieces.splice(to, 0, { ...moved, mutated: true });
      break;
    }
    case 1:
      pieces.splice(to, 0, { bytes: (pieces[at] as Piece).bytes, mutated: true });
      break;
    case 2:
      if (pieces.length > 2) pieces.splice(at, 1);
      break;
    default:
      pieces.splice(to, 0, { bytes: random.pick(material), mutated: true });
  }
}

/** Changed, and still a frame: what is behind it is read as well. */
function tameFrame(random: SeededRandom, frame: Buffer): Buffer {
  let mutated = frame;
  for (let tries = 0; tries < 8; tries++) {
    mutated = mutateFrame(random, frame, true);
    if (isWhole(mutated)) break;
  }
  return mutated;
}

const header = new FrameHeader();

/** One frame, no more and no less, and none that only makes sense behind another. */
function isWhole(bytes: Buffer): boolean {
  if (bytes.length < 5) return false;
  const bodyAt = 4 + bytes.readUInt32LE(0);
  if (bodyAt > bytes.length || bodyAt > defaultWireLimits.headerMaxBytes) return false;
  if (header.read(bytes, 4, bodyAt) !== undefined) return false;
  const { kind, bodySize } = header;
  return kind !== 0 && kind !== Kind.CHUNK && bodyAt + bodySize === bytes.length;
}

/** A stream of mprpc/2 made of `frames`, which come one after the other on a recorded connection. */
export function mprpcStream(
  random: SeededRandom,
  frames: readonly Buffer[],
  material: readonly Buffer[],
  /** How far the numbers of calls move from one round of the recorded frames to the next. */
  numbersARound: number,
): EvilStream {
  const recorded = usable(random, frames);
  const isTame = random.chance(0.75);
  const settings: Piece = { bytes: recorded[0] as Buffer, mutated: false };
  const count = isTame ? random.integer(50, 400) : random.integer(1, 8);
  const from = random.integer(1, recorded.length - 1);
  const pieces: Piece[] = Array.from({ length: count }, (_, i) => {
    const place = from + i;
    const round = Math.floor(place / (recorded.length - 1));
    // The same calls again, under other numbers: those of the first round may be in flight.
    const bytes = renumbered(recorded[1 + (place % (recorded.length - 1))] as Buffer, round * numbersARound);
    if (!random.chance(0.8)) return { bytes, mutated: false };
    return { bytes: isTame ? tameFrame(random, bytes) : mutateFrame(random, bytes, false), mutated: true };
  });
  for (let i = random.integer(0, isTame ? 2 : 4); i > 0; i--) disturb(random, pieces, material);
  // The first frame as it should be most of the time: without it nothing behind it is looked at.
  if (random.chance(0.1)) {
    pieces.unshift({ bytes: mutateFrame(random, settings.bytes, random.chance(0.5)), mutated: true });
  } else pieces.unshift(settings);
  let bytes = Buffer.concat(pieces.map((piece) => piece.bytes));
  if (random.chance(0.1)) bytes = bytes.subarray(0, random.integer(1, bytes.length));
  return { bytes, cuts: cutsOf(random, bytes.length, Math.ceil(count / 10)), ...judge(bytes, pieces) };
}

/** What our own decoder says of the bytes: how far a peer reads them, and whether it must close. */
function judge(
  bytes: Buffer,
  pieces: readonly Piece[],
): Pick<EvilStream, "mutated" | "inStep" | "malformed"> {
  const decoder = new FrameDecoder(defaultWireLimits);
  // A message that is passed over and one that is gathered read the same bytes.
  const sink: FrameSink = {
    onFrame: () => {},
    onOversized: () => {},
    onOpening: () => ({ onEnd: () => {} }),
  };
  const malformed = decoder.push(bytes, sink);
  const readTo = decoder.unread;
  let [mutated, at] = [0, 0];
  for (const piece of pieces) {
    if (at > readTo) break;
    if (piece.mutated && at < bytes.length) mutated++;
    at += piece.bytes.length;
  }
  // In step: a header of four bytes that is put behind them is not taken for anything else.
  const inStep = malformed === undefined && decoder.push(Buffer.alloc(4), sink) === "header of 0 bytes";
  return { mutated, inStep, malformed };
}

function cutsOf(random: SeededRandom, length: number, most = 3): number[] {
  const cuts = Array.from({ length: random.integer(0, most) }, () => random.integer(0, length));
  return [...cuts.sort((a, b) => a - b), length];
}

/** What other protocols say first. */
const strangers = [
  "GET / HTTP/1.1\r\nHost: zoo\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "SSH-2.0-OpenSSH_9.2\r\n",
  "*1\r\n$4\r\nPING\r\n",
  "ruok",
].map((text) => Buffer.from(text, "latin1"));

function raw(random: SeededRandom, pieces: readonly Piece[]): EvilStream {
  let bytes = Buffer.concat(pieces.map((piece) => piece.bytes));
  if (random.chance(0.1)) bytes = bytes.subarray(0, random.integer(1, bytes.length));
  const mutated = pieces.filter((piece) => piece.mutated).length;
  return { bytes, cuts: cutsOf(random, bytes.length), mutated, inStep: false, malformed: undefined };
}

/** Requests of a classic caller, changed; now and then those of a stranger. */
export function classicRequests(random: SeededRandom, recorded: Recorded): EvilStream {
  if (random.chance(0.1))
    return raw(random, [{ bytes: mutateBytes(random, random.pick(strangers)), mutated: true }]);
  const dialect = random.pick(["le32", "be32", "varint", "framed"] as const);
  const requests = recorded.classic.get(dialect)?.requests ?? [];
  const many = dialect === "varint" || dialect === "framed";
  const pieces = Array.from({ length: many ? random.integer(1, 12) : random.integer(1, 2) }, () => {
    const bytes = random.pick(requests);
    if (random.chance(0.3)) return { bytes, mutated: false };
    return { bytes: mutateRequest(random, bytes, dialect), mutated: true };
  });
  if (!pieces.some((piece) => piece.mutated)) {
    const [first] = pieces;
    if (first !== undefined) pieces[0] = { bytes: mutateBytes(random, first.bytes), mutated: true };
  }
  return raw(random, pieces);
}

/** Changes what is behind the lengths and keeps those true, or changes any byte. */
function mutateRequest(random: SeededRandom, bytes: Buffer, dialect: ClassicDialect): Buffer {
  const headerAt = dialect === "framed" ? 8 : dialect === "varint" ? 1 : 4;
  if (random.chance(0.5) || bytes.length <= headerAt + 4) return mutateBytes(random, bytes);
  const size =
    dialect === "varint"
      ? (bytes[0] as number)
      : dialect === "le32"
        ? bytes.readUInt32LE(0)
        : bytes.readUInt32BE(headerAt - 4);
  const header = bytes.subarray(headerAt, headerAt + size);
  const body = bytes.subarray(headerAt + size);
  if (random.chance(0.5)) {
    const mutated = mutateBytes(random, body.length > 0 ? body : header);
    return Buffer.concat([bytes.subarray(0, headerAt), header, mutated]);
  }
  const mutated = mutateFields(random, header) ?? header;
  const lead = Buffer.from(bytes.subarray(0, headerAt));
  if (dialect === "le32") lead.writeUInt32LE(mutated.length, 0);
  else if (dialect === "varint") lead[0] = mutated.length & 127;
  else lead.writeUInt32BE(mutated.length, headerAt - 4);
  if (dialect === "framed") lead.writeUInt32BE(4 + mutated.length + body.length, 0);
  return Buffer.concat([lead, mutated, body]);
}

/** One reply of a classic provider, changed. */
export function classicReply(random: SeededRandom, recorded: Recorded, dialect: ClassicDialect): EvilStream {
  const bytes = random.pick(recorded.classic.get(dialect)?.replies ?? []);
  const at = dialect === "framed" ? 4 : 0;
  const fields = random.chance(0.5) ? mutateFields(random, bytes.subarray(at)) : undefined;
  if (fields === undefined) return raw(random, [{ bytes: mutateBytes(random, bytes), mutated: true }]);
  const lead = Buffer.from(bytes.subarray(0, at));
  if (at > 0) lead.writeUInt32BE(fields.length);
  return raw(random, [{ bytes: Buffer.concat([lead, fields]), mutated: true }]);
}
