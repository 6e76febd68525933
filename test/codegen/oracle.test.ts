import path from "node:path";
import fc from "fast-check";
import { decodeMessage, encodeMessage } from "mprpc/codec";
import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

/** protobufjs's reflection reads and writes the same .proto files: what the two disagree on is a fault of ours. */
let generated: Generated;
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => path.resolve(protoFolder, target);

beforeAll(async () => {
  generated = await generateAndImport(
    ["kinds.proto", "old.proto"].map((file) => path.join(protoFolder, file)),
  );
  await root.load(["kinds.proto", "old.proto"]);
});

afterAll(() => generated.remove());

const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31), 127, 128));
const uint32 = fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 31, 127, 128, 16_383, 16_384));
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, -1n, 2n ** 32n),
);
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 127n, 128n, 2n ** 56n),
);
const float = fc.float();
const double = fc.double();
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
const color = fc.oneof(fc.constantFrom(0, 1, -5), int32);

const shared = fc.record({ id: uint32, name: text, marks: fc.array(uint32), inner: fc.constant(undefined) });

const scalars = {
  aDouble: double,
  aFloat: float,
  anInt32: int32,
  aUint32: uint32,
  aSint32: int32,
  aFixed32: uint32,
  aSfixed32: int32,
  anInt64: int64,
  aUint64: uint64,
  aSint64: int64,
  aFixed64: uint64,
  aSfixed64: int64,
  aBool: fc.boolean(),
  aString: text,
  aBytes: bytes,
  aColor: color,
};

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const maybeAll = <T>(all: Record<string, fc.Arbitrary<T>>) =>
  Object.fromEntries(Object.entries(all).map(([key, one]) => [key, maybe(one as fc.Arbitrary<unknown>)]));
const map = <K, V>(key: fc.Arbitrary<K>, value: fc.Arbitrary<V>) =>
  fc.array(fc.tuple(key, value), { maxLength: 5 }).map((pairs) => new Map(pairs));
const oneof = (cases: Record<string, fc.Arbitrary<unknown>>) =>
  maybe(
    fc.oneof(...Object.entries(cases).map(([name, value]) => fc.record({ case: fc.constant(name), value }))),
  );

const part = fc.record({ label: text, old: fc.constant(undefined) });
const mood = fc.constantFrom(1, 2);

const messages: Record<string, fc.Arbitrary<Record<string, unknown>>> = {
  Scalars: fc.record({ ...scalars, aMessage: maybe(shared) }),
  Optionals: fc.record({ ...maybeAll(scalars as never), aMessage: maybe(shared) }),
  Lists: fc.record({
    doubles: fc.array(double),
    floats: fc.array(float),
    int32s: fc.array(int32),
    uint32s: fc.array(uint32),
    sint32s: fc.array(int32),
    fixed32s: fc.array(uint32),
    sfixed32s: fc.array(int32),
    int64s: fc.array(int64),
    uint64s: fc.array(uint64),
    sint64s: fc.array(int64),
    fixed64s: fc.array(uint64),
    sfixed64s: fc.array(int64),
    bools: fc.array(fc.boolean()),
    strings: fc.array(text),
    bytesList: fc.array(bytes),
    colors: fc.array(color),
    messages: fc.array(shared, { maxLength: 4 }),
    loose: fc.array(int32),
  }),
  Maps: fc.record({
    byString: map(fc.oneof(text, fc.constantFrom("__proto__", "constructor")), int32),
    byInt32: map(int32, text),
    byUint64: map(uint64, bytes),
    byBool: map(fc.boolean(), double),
    messages: map(text, shared),
    colors: map(text, color),
    bySfixed32: map(int32, int64),
  }),
  Choice: fc.record({
    before: int32,
    payload: oneof({
      text,
      data: bytes,
      number: int64,
      scalars: fc.record({ ...scalars, aMessage: maybe(shared) }),
      color,
      flag: fc.boolean(),
    }),
    other: oneof({ left: text, right: text }),
  }),
  Old: fc.record({
    id: int32,
    part,
    name: maybe(text),
    level: int32,
    greeting: text,
    mood,
    plainMood: maybe(mood),
    moods: fc.array(mood),
    loose: fc.array(int32),
    tight: fc.array(int32),
    byName: map(text, mood),
    big: int64,
    ratio: double,
    raw: bytes,
    on: fc.boolean(),
    mask: uint32,
    choice: oneof({ chosen: mood, piece: part }),
  }),
};

/** Our message as protobufjs takes it: snake-less names are shared, oneofs are flat, 64-bit values are strings. */
function toTheirs(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (Buffer.isBuffer(value) || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(toTheirs);
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, one]) => [String(key), toTheirs(one)]));
  }
  const result: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(value)) {
    if (one === undefined) continue;
    if (typeof one === "object" && one !== null && "case" in one) {
      const { case: name, value: inner } = one as { case: string; value: unknown };
      result[name] = toTheirs(inner);
    } else result[key] = toTheirs(one);
  }
  return result;
}

function theirType(name: string): protobuf.Type {
  return root.lookupType(name === "Old" ? "test.old.Old" : `test.kinds.${name}`);
}

/** Maps in the order of their keys, since the wire leaves that open and objects reorder number-like keys. */
function sorted(value: unknown): unknown {
  if (Buffer.isBuffer(value) || typeof value !== "object" || value === null) return value;
  if (value instanceof Map) {
    const pairs = Array.from(value, ([key, one]) => [String(key), sorted(one)] as const);
    return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  }
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, sorted(one)]));
}

describe.each(Object.keys(messages))("%s", (name) => {
  const arbitrary = messages[name] as fc.Arbitrary<Record<string, unknown>>;

  it("comes back from its own bytes", () => {
    const type = generated.type(name);
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(decodeMessage(type, encodeMessage(type, message))).toEqual(type.create(message));
      }),
    );
  });

  it("is read by protobufjs, and written by it is read here", () => {
    const type = generated.type(name);
    const theirs = theirType(name);
    fc.assert(
      fc.property(arbitrary, (message) => {
        const their = theirs.fromObject(toTheirs(message) as object);
        const ours = encodeMessage(type, message);
        const bytes = Buffer.from(theirs.encode(their).finish());
        const plain = { longs: String, bytes: String };
        expect(theirs.toObject(theirs.decode(ours), plain)).toEqual(
          theirs.toObject(theirs.decode(bytes), plain),
        );
        expect(sorted(decodeMessage(type, bytes))).toEqual(sorted(type.create(message)));
      }),
    );
  });
});

describe("byte for byte", () => {
  it.each(["Scalars", "Optionals", "Lists", "Choice", "Old"])("%s is encoded as protobufjs does", (name) => {
    const type = generated.type(name);
    const theirs = theirType(name);
    fc.assert(
      fc.property(messages[name] as fc.Arbitrary<Record<string, unknown>>, (generatedMessage) => {
        // The order of map entries is each library's own.
        const message =
          name === "Old" ? { ...generatedMessage, byName: new Map([["a", 1]]) } : generatedMessage;
        const their = theirs.fromObject(toTheirs(message) as object);
        expect(encodeMessage(type, message).toString("hex")).toBe(
          Buffer.from(theirs.encode(their).finish()).toString("hex"),
        );
      }),
    );
  });
});
