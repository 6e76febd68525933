import fc from "fast-check";
import { decodeMessage, emptyBytes, encodeMessage, type MessageType, Reader, Writer } from "mprpc/codec";
import protobuf from "protobufjs/minimal.js";
import { describe, expect, it } from "vitest";
import { largeBufferBytes, shelve, takeBuffer } from "../../src/protobuf/buffer-pool.js";

const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)));
const uint32 = fc.oneof(
  fc.nat(),
  fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 32 - 1),
);
const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(0n, -1n));
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 127n, 128n, 2n ** 28n, 2n ** 35n, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n),
);
const text = fc.string({ unit: "grapheme", maxLength: 80 });

function written(write: (writer: Writer) => void): Buffer {
  // A first buffer that is too small, so that growing is always part of it.
  const writer = new Writer(1);
  write(writer);
  return writer.finish();
}

// protobufjs's declarations do not name what its Long can do.
const { fromString } = protobuf.util.Long as unknown as { fromString(text: string): unknown };
const long = (value: bigint) => fromString(String(value));

describe("Writer and Reader", () => {
  const kinds: Array<[name: string, fc.Arbitrary<never>, keyof Writer, keyof Reader, keyof protobuf.Writer]> =
    [
      ["int32", int32 as never, "int32", "int32", "int32"],
      ["uint32", uint32 as never, "uint32", "uint32", "uint32"],
      ["sint32", int32 as never, "sint32", "sint32", "sint32"],
      ["fixed32", uint32 as never, "fixed32", "fixed32", "fixed32"],
      ["sfixed32", int32 as never, "sfixed32", "sfixed32", "sfixed32"],
      ["int64", int64 as never, "int64", "int64n", "int64"],
      ["uint64", uint64 as never, "uint64", "uint64n", "uint64"],
      ["sint64", int64 as never, "sint64", "sint64n", "sint64"],
      ["fixed64", uint64 as never, "fixed64", "fixed64n", "fixed64"],
      ["sfixed64", int64 as never, "sfixed64", "sfixed64n", "sfixed64"],
      ["float", fc.float() as never, "float", "float", "float"],
      ["double", fc.double() as never, "double", "double", "double"],
      ["bool", fc.boolean() as never, "bool", "bool", "bool"],
      ["string", text as never, "string", "string", "string"],
      ["string, checked", text as never, "string", "stringVerify", "string"],
    ];

  it.each(kinds)("%s: protobufjs's bytes, and back", (_, arbitrary, write, read, theirs) => {
    fc.assert(
      fc.property(arbitrary, (value: unknown) => {
        const bytes = written((writer) => (writer[write] as (value: unknown) => void).call(writer, value));
        const their = protobuf.Writer.create();
        const given = typeof value === "bigint" ? long(value) : value;
        (their[theirs] as (value: unknown) => void).call(their, given);
        expect(bytes.toString("hex")).toBe(Buffer.from(their.finish()).toString("hex"));
        const reader = new Reader(bytes);
        expect((reader[read] as () => unknown).call(reader)).toEqual(value);
        expect(reader.pos).toBe(bytes.length);
      }),
    );
  });

  it.each(kinds)("%s: cut anywhere, a RangeError", (_, arbitrary, write, read) => {
    fc.assert(
      fc.property(arbitrary, (value: unknown) => {
        const bytes = written((writer) => (writer[write] as (value: unknown) => void).call(writer, value));
        for (let length = 0; length < bytes.length; length++) {
          // The bytes go on behind the limit: only `len` may count.
          const reader = new Reader().reset(bytes, 0, length);
          expect(() => (reader[read] as () => unknown).call(reader)).toThrow(RangeError);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("takes numbers for 64-bit fields", () => {
    expect(written((writer) => writer.int64(-1)).toString("hex")).toBe("ffffffffffffffffff01");
    expect(written((writer) => writer.uint64(2 ** 40)).toString("hex")).toBe("808080808020");
    expect(written((writer) => writer.sint64(-1)).toString("hex")).toBe("01");
  });

  it("bytes: copies small ones, hands over big ones, shares the empty one", () => {
    for (const length of [1, 31, 32, 33, 16 * 1024, 16 * 1024 + 1]) {
      const value = Buffer.alloc(length, 7);
      const bytes = written((writer) => writer.bytes(value));
      const read = new Reader(bytes).bytes();
      expect(read.equals(value)).toBe(true);
      // What is copied may lie in the same pool of Node's as the original: only a change tells.
      bytes.fill(0);
      const byte = length > 16 * 1024 ? 0 : 7;
      expect(read.every((one) => one === byte)).toBe(true);
    }
    expect(new Reader(Buffer.from([0])).bytes()).toBe(emptyBytes);
  });

  it("bytes from a string are its UTF-8", () => {
    expect(written((writer) => writer.bytes("é")).toString("hex")).toBe("02c3a9");
  });

  it("half a surrogate pair becomes U+FFFD where no field is named", () => {
    expect(written((writer) => writer.string("\ud800")).toString("hex")).toBe("03efbfbd");
  });

  it("bool: any other value than 0 is true, in any length", () => {
    const read = (hex: string) => new Reader(Buffer.from(hex, "hex")).bool();
    expect([read("00"), read("01"), read("02"), read("8000"), read("8001")]).toEqual([
      false,
      true,
      true,
      false,
      true,
    ]);
  });

  it("uint32 drops bits above 32, and refuses an eleventh byte", () => {
    expect(new Reader(Buffer.from("ffffffffffffffffff01", "hex")).uint32()).toBe(2 ** 32 - 1);
    expect(() => new Reader(Buffer.from("ffffffffffffffffffff01", "hex")).uint32()).toThrow("invalid varint");
  });

  it("parts: the length goes in front whatever it takes", () => {
    for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
      const bytes = written((writer) => {
        writer.uint32(1);
        const mark = writer.begin();
        writer.raw(Buffer.alloc(length, 5));
        writer.end(mark).uint32(2);
      });
      const reader = new Reader(bytes);
      expect(reader.uint32()).toBe(1);
      expect(reader.bytes().length).toBe(length);
      expect(reader.uint32()).toBe(2);
    }
  });

  it("a key of 0 is not written, at the very end of the buffer too", () => {
    const writer = new Writer(4);
    writer.fixed32(0);
    writer.uint32Field(0, 5, "x");
    writer.int32Field(8, 6, "x");
    writer.int32Field(1600, 7, "x");
    expect(writer.finish().toString("hex")).toBe("00000000050806c00c07");
  });

  it("clear lets go of a buffer that grew", () => {
    const writer = new Writer(16);
    writer.raw(Buffer.alloc(600_000));
    writer.clear();
    expect([writer.position, writer.buffer.length]).toEqual([0, 256 * 1024]);
  });

  it("one that begins with nothing borrows its buffers, and gives them up with detach", () => {
    const writer = new Writer(0);
    expect(writer.buffer.length).toBe(0);
    writer.uint32(1);
    const small = writer.buffer;
    writer.raw(Buffer.alloc(20_000, 7));
    const large = writer.buffer;
    expect([small.length, large.length]).toEqual([16 * 1024, 256 * 1024]);
    expect(writer.detach()).toBe(large);
    expect([writer.position, writer.buffer.length]).toEqual([0, 0]);
    shelve(large);
    // Both lie on the shelf: the small one since the writer outgrew it.
    expect(new Writer(0).uint32(1).buffer).toBe(small);
    expect(new Writer(0).raw(Buffer.alloc(16_385)).buffer).toBe(large);
  });

  it("a large buffer has room for what comes behind the field it was made for, and is used again", () => {
    // Whatever other tests of this process have put on the shelf is off it.
    while (takeBuffer(largeBufferBytes + 1).length > largeBufferBytes + 1);
    const nested = new Writer(0);
    const outer = nested.partField(0x0a);
    const inner = nested.partField(0x12);
    nested.bytesField(0x1a, Buffer.alloc(300_000, 1), "M.f");
    const { buffer } = nested;
    nested.end(inner).end(outer).boolField(0x20, true, "M.g");
    expect(nested.buffer).toBe(buffer);
    shelve(nested.detach());
    expect(new Writer(0).raw(Buffer.alloc(290_000)).buffer).toBe(buffer);
    shelve(buffer);
    // Too small for this one.
    expect(new Writer(0).raw(Buffer.alloc(400_000)).buffer).not.toBe(buffer);
  });

  it("puts the length in front of a string in as few bytes as it takes, whatever its characters", () => {
    // Where the count of units and that of bytes take a varint of another length, and where room is made another way.
    const around = [41, 43, 64, 127, 128, 1365, 4095, 4096, 4097, 5461, 5462, 8192, 16_383, 16_384, 21_846];
    for (const character of ["a", "é", "你", "😀"]) {
      for (const units of around.flatMap((at) => [at - 1, at, at + 1])) {
        const string = character.repeat(units).slice(0, units - (units % character.length));
        const expected = protobuf.Writer.create().string(string).finish();
        expect(written((writer) => writer.string(string, "M.f")).equals(expected)).toBe(true);
      }
    }
  });

  it.each([10, 60, 2000, 6000])(
    "refuses half a surrogate pair by its field in %i characters, and writes nothing",
    (units) => {
      for (const string of [
        `\ud83d${"你".repeat(units)}`,
        `${"a".repeat(units)}\udc00`,
        `${"é".repeat(units)}\ud83d`,
      ]) {
        const writer = new Writer(1);
        expect(() => writer.string(string, "M.f")).toThrow(/^M\.f: the text holds half a surrogate pair/);
        expect(writer.position).toBe(0);
        expect(written((other) => other.string(string)).includes("\ufffd")).toBe(true);
      }
    },
  );

  it("reads varints at the very end of the readable bytes, and never beyond it", () => {
    for (const value of [
      0n,
      127n,
      128n,
      2n ** 28n - 1n,
      2n ** 28n,
      2n ** 32n - 1n,
      2n ** 35n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]) {
      const bytes = written((writer) => writer.uint64(value));
      const longer = Buffer.concat([bytes, Buffer.alloc(16, 0xff)]);
      expect(new Reader().reset(longer, 0, bytes.length).uint64n()).toBe(value);
      expect(new Reader().reset(longer, 0, bytes.length).uint32()).toBe(Number(BigInt.asUintN(32, value)));
      for (const end of Array.from(bytes.keys())) {
        expect(() => new Reader().reset(longer, 0, end).uint64n()).toThrow(RangeError);
        expect(() => new Reader().reset(longer, 0, end).uint32()).toThrow(RangeError);
      }
    }
    expect(() => new Reader(Buffer.alloc(11, 0xff)).uint32()).toThrow(/longer than 10 bytes/);
    expect(() => new Reader(Buffer.alloc(11, 0xff)).uint64n()).toThrow(/longer than 10 bytes/);
  });
});

describe("encodeMessage", () => {
  it("can be used while it is at work", () => {
    const inner: MessageType<unknown, string> = {
      typeName: "inner",
      create: () => ({}),
      encode: (message, writer) => void writer.string(message),
      decode: (reader) => reader.string(),
    };
    const outer: MessageType<unknown, string> = {
      ...inner,
      encode(message, writer) {
        writer.uint32(1);
        writer.bytes(encodeMessage(inner, message));
        writer.uint32(2);
      },
    };
    expect(encodeMessage(outer, "ab").toString("hex")).toBe("010302616202");
    expect(decodeMessage(inner, new Uint8Array([2, 97, 98]))).toBe("ab");
  });

  it("gives bytes of their own, whatever their size, and holds no large buffer back", () => {
    const blob: MessageType<unknown, Uint8Array> = {
      typeName: "blob",
      create: () => ({}),
      encode: (message, writer) => void writer.bytes(message),
      decode: (reader) => reader.bytes(),
    };
    const sizes = [1, 1000, 200_000, 262_140, 262_144, 300_000, 1 << 20, 5 << 20];
    const inputs = sizes.map((size) => Buffer.alloc(size, size & 255));
    const encoded = inputs.map((input) => encodeMessage(blob, input));
    for (const [at, bytes] of encoded.entries()) {
      expect(Buffer.compare(decodeMessage(blob, bytes) as Buffer, inputs[at] ?? emptyBytes)).toBe(0);
      if (bytes.length > 10_000) expect(bytes.buffer.byteLength).toBeLessThan(bytes.length * 1.3);
    }
  });
});
