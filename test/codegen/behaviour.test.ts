import path from "node:path";
import { runInNewContext } from "node:vm";
import { decodeMessage, encodeMessage, nestingMax, Reader, Writer } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

let generated: Generated;

beforeAll(async () => {
  generated = await generateAndImport(
    ["kinds.proto", "old.proto", "names.proto"].map((file) => path.join(protoFolder, file)),
  );
});

afterAll(() => generated.remove());

const hexOf = (type: string, message: unknown): string =>
  encodeMessage(generated.type(type), message).toString("hex");
const fromHex = (type: string, hex: string): unknown =>
  decodeMessage(generated.type(type), Buffer.from(hex.replaceAll(" ", ""), "hex"));

describe("encoding", () => {
  it("leaves out proto3 defaults, and null as undefined", () => {
    const defaults = generated.type("Scalars").create();
    expect(hexOf("Scalars", defaults)).toBe("");
    expect(hexOf("Scalars", { anInt32: null, aString: null, aBytes: null, aMessage: null })).toBe("");
    expect(hexOf("Scalars", { anInt64: 0, aUint64: 0n })).toBe("");
  });

  it("sends what optional fields are set to, defaults too", () => {
    expect(hexOf("Optionals", { anInt32: 0, aString: "", aBool: false })).toBe("180068007200");
    expect(hexOf("Optionals", {})).toBe("");
  });

  it("keeps the sign of zero", () => {
    expect(hexOf("Scalars", { aDouble: -0 })).toBe("090000000000000080");
    expect(fromHex("Scalars", "090000000000000080")).toMatchObject({ aDouble: -0 });
  });

  it("writes the longest forms", () => {
    expect(hexOf("Scalars", { anInt32: -1 })).toBe("18ffffffffffffffffff01");
    expect(hexOf("Scalars", { aColor: 300 })).toBe("8001ac02");
    expect(hexOf("Scalars", { aUint64: 2n ** 64n - 1n })).toBe("48ffffffffffffffffff01");
    expect(hexOf("Lists", { loose: [1] })).toBe("807d01");
  });

  it("takes pairs and objects for maps, `__proto__` among their keys", () => {
    const own = JSON.parse('{"__proto__": 5}');
    expect(hexOf("Maps", { byString: own })).toBe("0a0d0a095f5f70726f746f5f5f1005");
    expect(hexOf("Maps", { byString: [["__proto__", 5]] })).toBe("0a0d0a095f5f70726f746f5f5f1005");
    const back = fromHex("Maps", "0a0d0a095f5f70726f746f5f5f1005") as { byString: Map<string, number> };
    expect([...back.byString]).toEqual([["__proto__", 5]]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  });

  it("puts a long nested message right, whatever its length", () => {
    for (const length of [120, 126, 127, 128, 129, 16_383, 16_384, 70_000]) {
      const name = "x".repeat(length);
      const message = { aMessage: { id: 1, name }, aBool: true };
      expect(fromHex("Scalars", hexOf("Scalars", message))).toMatchObject(message);
    }
  });

  it("is able to go on in the same Writer after a failure", () => {
    const type = generated.type("Scalars");
    expect(() => encodeMessage(type, { aMessage: { id: "x" } })).toThrow(TypeError);
    expect(encodeMessage(type, { anInt32: 1 }).toString("hex")).toBe("1801");
  });
});

describe("a value of the wrong kind is a TypeError that names the field", () => {
  const cases: Array<[type: string, message: unknown, text: string]> = [
    ["Scalars", { aBytes: 5 }, "Scalars.a_bytes: expected bytes (Uint8Array or string), got number (5)"],
    ["Scalars", { aBytes: [1, 2] }, "Scalars.a_bytes: expected bytes (Uint8Array or string), got an array"],
    ["Scalars", { aString: 5 }, "Scalars.a_string: expected string, got number (5)"],
    ["Scalars", { aString: Buffer.from("x") }, "Scalars.a_string: expected string, got Buffer"],
    ["Scalars", { aString: "\ud800" }, "Scalars.a_string: the text holds half a surrogate pair"],
    [
      "Scalars",
      { aString: `${"é".repeat(50)}\udc00` },
      "Scalars.a_string: the text holds half a surrogate pair",
    ],
    ["Scalars", { aBytes: "\ud800" }, "Scalars.a_bytes: the text holds half a surrogate pair"],
    ["Scalars", { anInt32: 2 ** 31 }, "Scalars.an_int32: expected int32 (a whole number from -2147483648 to"],
    ["Scalars", { anInt32: "5" }, "Scalars.an_int32: expected int32 (a whole number from -2147483648 to"],
    ["Scalars", { anInt32: 1.5 }, "got number (1.5)"],
    ["Scalars", { anInt32: Number.NaN }, "got number (NaN)"],
    ["Scalars", { anInt32: 5n }, "got bigint (5n)"],
    ["Scalars", { anInt32: Symbol("x") }, "got symbol"],
    ["Scalars", { aUint32: -1 }, "Scalars.a_uint32: expected uint32 (a whole number from 0 to 4294967295)"],
    ["Scalars", { aFixed32: 2 ** 32 }, "Scalars.a_fixed32"],
    ["Scalars", { aSint32: 2 ** 40 }, "Scalars.a_sint32"],
    ["Scalars", { aSfixed32: {} }, "Scalars.a_sfixed32: expected int32"],
    [
      "Scalars",
      { anInt64: 2 ** 60 },
      "Scalars.an_int64: expected int64 (a bigint from -2^63 to 2^63-1, or a safe",
    ],
    ["Scalars", { anInt64: 2n ** 63n }, "Scalars.an_int64"],
    ["Scalars", { aSint64: "1" }, "Scalars.a_sint64"],
    ["Scalars", { aSfixed64: true }, "Scalars.a_sfixed64: expected int64"],
    ["Scalars", { aUint64: -1n }, "Scalars.a_uint64: expected uint64"],
    ["Scalars", { aFixed64: -1 }, "Scalars.a_fixed64"],
    ["Scalars", { aDouble: "1" }, "Scalars.a_double: expected double (a number), got string"],
    ["Scalars", { aFloat: 1n }, "Scalars.a_float: expected float (a number), got bigint (1n)"],
    ["Scalars", { aBool: 1 }, "Scalars.a_bool: expected bool (true or false), got number (1)"],
    [
      "Scalars",
      { aColor: "COLOR_RED" },
      "Scalars.a_color: expected a number of the enum Color, such as Color.COLOR_RED, got string",
    ],
    ["Scalars", { aColor: "toString" }, "such as Color.COLOR_NONE, got string"],
    ["Scalars", { aColor: 1.5 }, "such as Color.COLOR_NONE, got number (1.5)"],
    ["Scalars", { aColor: 2 ** 31 }, "Scalars.a_color: expected a number of the enum Color"],
    ["Scalars", { aMessage: 5 }, "Scalars.a_message: expected a message (an object), got number (5)"],
    ["Scalars", { aMessage: { name: 5 } }, "Shared.name: expected string, got number (5)"],
    ["Scalars", 5, "Scalars: expected a message (an object), got number (5)"],
    ["Scalars", null, "Scalars: expected a message (an object), got null"],
    ["Scalars", undefined, "Scalars: expected a message (an object), got undefined"],
    ["Empty", undefined, "Empty: expected a message (an object), got undefined"],
    ["Lists", { int32s: 5 }, "Lists.int32s: expected an array, got number (5)"],
    ["Lists", { int32s: [1, "2"] }, "Lists.int32s: expected int32"],
    ["Lists", { strings: "text" }, "Lists.strings: expected an array, got string"],
    ["Lists", { messages: [undefined] }, "Lists.messages: expected a message (an object), got undefined"],
    ["Maps", { byString: 5 }, "Maps.by_string: expected a Map, pairs or an object, got number (5)"],
    ["Maps", { byString: { a: "x" } }, "Maps.by_string value: expected int32"],
    ["Maps", { byInt32: [["x", "x"]] }, "Maps.by_int32 key: expected int32"],
    ["Maps", { byString: [5] }, "Maps.by_string entry: expected a pair [key, value], got number (5)"],
    ["Maps", { byString: new Set(["ab"]) }, "Maps.by_string entry: expected a pair [key, value], got string"],
    [
      "Choice",
      { payload: { case: "nothing" } },
      "Choice.payload.case: expected one of text, data, number, scalars,",
    ],
    ["Choice", { payload: "text" }, "Choice.payload.case: expected one of text, data"],
    ["Choice", { payload: { case: "text", value: 5 } }, "Choice.text: expected string, got number (5)"],
    ["Old", { part: { label: "" } }, "Old.id: a required field is missing"],
    ["Old", { id: 1 }, "Old.part: a required field is missing"],
    ["Old", { id: 1, part: {} }, "Old.Part.label: a required field is missing"],
    [
      "Old",
      { id: 1, part: { label: "" }, mood: 3 },
      "Old.mood: expected one of SAD = 1, GLAD = 2, got number (3)",
    ],
    [
      "Old",
      { id: 1, part: { label: "" }, mood: "GLAD" },
      "Old.mood: expected a number of the enum Old_Mood, such as Old_Mood.GLAD, got string",
    ],
  ];

  it.each(cases)("%s %o", (type, message, text) => {
    const encode = () => encodeMessage(generated.type(type), message);
    expect(encode).toThrow(TypeError);
    expect(encode).toThrow(text);
  });

  class Named {
    get aString(): string {
      return "from a getter";
    }
  }
  class Stranger {
    text = "x";
  }

  it.each<[string, unknown, string]>([
    [
      "Shared",
      new Error("x"),
      "Shared: expected a message (an object), got Error: throw it instead of returning it",
    ],
    ["Scalars", new TypeError("x"), "got TypeError: throw it instead"],
    ["Scalars", new DOMException("x", "AbortError"), "got DOMException: throw it instead"],
    ["Scalars", runInNewContext("new Error('x')"), "got Error: throw it instead"],
    ["Scalars", Promise.resolve({}), "got Promise: await it"],
    ["Scalars", new Date(0), "got Date: a Date is taken where the .proto says google.protobuf.Timestamp"],
    ["Scalars", [], "got an array"],
    ["Scalars", new Map([["aString", "x"]]), "got Map"],
    ["Scalars", new Set(), "got Set"],
    ["Scalars", Buffer.from("x"), "got Buffer"],
    ["Empty", new Error("x"), "got Error: throw it instead"],
    ["Scalars", new Stranger(), "Scalars: expected a message with some of aDouble, aFloat, "],
    ["Scalars", { aMessage: new Error("x") }, "Shared: expected a message (an object), got Error"],
    [
      "Lists",
      { messages: [new Stranger()] },
      "Shared: expected a message with some of id, name, marks, inner, got Stranger",
    ],
    ["Choice", { payload: { case: "scalars", value: new Map() } }, "Scalars: expected a message"],
  ])("refuses what is no message: %s %o", (type, message, text) => {
    const encode = () => encodeMessage(generated.type(type), message);
    expect(encode).toThrow(TypeError);
    expect(encode).toThrow(text);
  });

  it("takes objects without a prototype, of another realm, and instances that have a field", () => {
    const expected = hexOf("Scalars", { aString: "x" });
    expect(hexOf("Scalars", Object.assign(Object.create(null), { aString: "x" }))).toBe(expected);
    expect(hexOf("Scalars", runInNewContext("({ aString: 'x' })"))).toBe(expected);
    expect(hexOf("Scalars", new Named())).toBe(hexOf("Scalars", { aString: "from a getter" }));
    expect(hexOf("Empty", new Stranger())).toBe("");
  });

  it("does not show text: it may be a password in the wrong field", () => {
    expect(() => hexOf("Scalars", { anInt32: "secret" })).not.toThrow(/secret/);
  });
});

describe("decoding", () => {
  it("fills every field", () => {
    expect(fromHex("Scalars", "")).toEqual(generated.type("Scalars").create());
    expect(fromHex("Optionals", "")).toMatchObject({ anInt32: undefined, aMessage: undefined });
    expect(Object.keys(fromHex("Optionals", "") as object)).toHaveLength(17);
  });

  it("takes packed and unpacked, mixed", () => {
    expect(fromHex("Lists", "1801 1a0202 03 1804")).toMatchObject({ int32s: [1, 2, 3, 4] });
    expect(fromHex("Lists", "82 7d 02 05 06 80 7d 07")).toMatchObject({ loose: [5, 6, 7] });
  });

  it("keeps the last of single fields and of a oneof", () => {
    expect(fromHex("Scalars", "1801 1802")).toMatchObject({ anInt32: 2 });
    expect(fromHex("Choice", "120161 1a0162")).toMatchObject({
      payload: { case: "data", value: Buffer.from("b") },
    });
  });

  it("merges a message that is sent twice, in a oneof too", () => {
    const merged = { id: 1, name: "b", marks: [1, 2] };
    expect(fromHex("Scalars", "8a01 0508011a0101 8a01 0612016 21a0102".replaceAll(" ", ""))).toMatchObject({
      aMessage: merged,
    });
    expect(fromHex("Choice", "2a021801 2a022001")).toMatchObject({
      payload: { case: "scalars", value: { anInt32: 1, aUint32: 1 } },
    });
  });

  it("passes over unknown fields of every wire type, groups too", () => {
    const unknown = "f006 7f f106 0102030405060708 f206 03 616263 f506 01020304 f306 0801 f306 f406 f406";
    expect(fromHex("Scalars", `${unknown} 1801`)).toMatchObject({ anInt32: 1 });
    expect(fromHex("Empty", unknown)).toEqual({});
  });

  it("passes over a known field of another wire type", () => {
    expect(fromHex("Scalars", "1a0161 1901020304050607 08 1801")).toMatchObject({ anInt32: 1 });
  });

  it("keeps unknown numbers of an open enum in place, and those of a closed one as unknown fields", () => {
    expect(fromHex("Scalars", "800163")).toMatchObject({ aColor: 99 });
    const old = "0801 12030a0161";
    expect(fromHex("Old", `${old} 3863 4001 4063 42020263`)).toMatchObject({
      plainMood: undefined,
      moods: [1, 2],
    });
    expect(fromHex("Old", `${old} 5a0510630a0161 5a0510020a0162`)).toMatchObject({
      byName: new Map([["b", 2]]),
    });
    expect(fromHex("Old", `${old} 880163`)).toMatchObject({ choice: undefined });
  });

  it("leaves proto2 fields with a default undefined, and asks for what is required", () => {
    expect(fromHex("Old", "0801 12030a0161")).toMatchObject({
      id: 1,
      part: { label: "a", old: undefined },
      name: undefined,
      ...{ level: undefined, greeting: undefined, mood: undefined, big: undefined, ratio: undefined },
      ...{ raw: undefined, on: undefined, mask: undefined },
    });
    expect(() => fromHex("Old", "0801")).toThrow("Old.part: a required field is missing");
    expect(() => fromHex("Old", "0801 1200")).toThrow("Old.Part.label: a required field is missing");
  });

  it("takes map entries in any order, with parts left out or unknown", () => {
    expect(fromHex("Maps", "0a0510050a0161")).toMatchObject({ byString: new Map([["a", 5]]) });
    expect(fromHex("Maps", "0a00")).toMatchObject({ byString: new Map([["", 0]]) });
    expect(fromHex("Maps", "0a0718010a01611006")).toMatchObject({ byString: new Map([["a", 6]]) });
    const { messages } = fromHex("Maps", "2a00") as { messages: Map<string, unknown> };
    expect(messages.get("")).toEqual(generated.type("Shared").create());
  });

  it("refuses text that is no UTF-8 in proto3, and replaces it in proto2", () => {
    expect(() => fromHex("Scalars", "7201ff")).toThrow("invalid UTF-8");
    expect(() => fromHex("Scalars", `721e${"61".repeat(29)}ff`)).toThrow("invalid UTF-8");
    expect(fromHex("Scalars", "7203efbfbd")).toMatchObject({ aString: "\ufffd" });
    expect(fromHex("Old", "0801 12030a0161 1a01ff")).toMatchObject({ name: "\ufffd" });
  });

  it("hands out bytes that a reused buffer does not change", () => {
    const type = generated.type("Scalars");
    const buffer = Buffer.from("7a0461626364", "hex");
    const message = type.decode(new Reader(buffer), buffer.length) as { aBytes: Buffer };
    buffer.fill(0);
    expect(message.aBytes.toString()).toBe("abcd");
  });
});

describe("hostile bytes", () => {
  it("throw when cut at any offset inside a field, and never hang", () => {
    const message = {
      aDouble: 1,
      aFloat: 1,
      anInt32: -1,
      aFixed32: 7,
      anInt64: -1n,
      aFixed64: 7n,
      aString: "text that is longer than the short path",
      aBytes: "bytes",
      aMessage: { id: 300, name: "n", marks: [1, 300], inner: { id: 1 } },
    };
    const type = generated.type("Scalars");
    const bytes = encodeMessage(type, message);
    let whole = 0;
    for (let length = 0; length < bytes.length; length++) {
      try {
        decodeMessage(type, bytes.subarray(0, length));
        whole++;
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    // Cut between two fields, what is left is a message.
    expect(whole).toBe(Object.keys(message).length);
  });

  it("throw when a nested message reaches beyond its end", () => {
    expect(() => fromHex("Scalars", "8a01 03 08 01 12 0161")).toThrow(RangeError);
    expect(() => fromHex("Scalars", "8a01 7f 08 01")).toThrow(RangeError);
    expect(() => fromHex("Lists", "1a 02 01 ff 18 01")).toThrow(RangeError);
    expect(() => fromHex("Maps", "0a 03 0a 05 61 62 63 64 65")).toThrow(RangeError);
    expect(() => fromHex("Scalars", "72 ffffffff0f 61")).toThrow(RangeError);
  });

  it("throw for keys and varints that mean nothing", () => {
    expect(() => fromHex("Scalars", "00 01")).toThrow("field number 0");
    expect(() => fromHex("Scalars", "f4 06")).toThrow("invalid wire type 4");
    expect(() => fromHex("Scalars", "f6 06")).toThrow("invalid wire type 6");
    expect(() => fromHex("Scalars", "18 ffffffffffffffffffff01")).toThrow("invalid varint");
    expect(() => fromHex("Scalars", "40 ffffffffffffffffffff01")).toThrow("invalid varint");
    expect(() => fromHex("Scalars", "f3 06 0801 fc 06")).toThrow();
  });

  it("cannot exhaust the stack: nesting has a limit, both ways", () => {
    const type = generated.type("Tree");
    const deep = (depth: number): Buffer => {
      const writer = new Writer();
      let bytes: Buffer = Buffer.alloc(0);
      for (let i = 0; i < depth; i++) {
        writer.clear();
        writer.uint32(0x12).bytes(bytes);
        bytes = writer.finish();
      }
      return bytes;
    };
    expect(decodeMessage(type, deep(nestingMax))).toBeDefined();
    expect(() => decodeMessage(type, deep(nestingMax + 1))).toThrow("Tree: messages nested deeper than 100");
    expect(() => decodeMessage(type, deep(10_000))).toThrow("nested deeper");
    const groups = Buffer.from("f306".repeat(100_000), "hex");
    expect(() => decodeMessage(type, groups)).toThrow("groups nested deeper");
    const loop: { left?: unknown } = {};
    loop.left = loop;
    expect(() => encodeMessage(type, loop)).toThrow("Tree: messages nested deeper than 100");
  });

  it("of any kind throw an Error or decode, never more", () => {
    const types = ["Scalars", "Optionals", "Lists", "Maps", "Choice", "Tree", "Old", "Empty"];
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let round = 0; round < 5_000; round++) {
      const bytes = Buffer.from(
        Array.from({ length: random(40) }, () => (random(3) === 0 ? random(256) : random(32))),
      );
      const type = generated.type(types[random(types.length)] as string);
      try {
        decodeMessage(type, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
  });
});

describe("names that get in the way", () => {
  it("work", () => {
    const message = {
      constructor$: "a",
      hasOwnProperty$: "b",
      toJSON$: "c",
      message: "d",
      default: "e",
      into: "f",
    };
    expect(fromHex("Buffer$", hexOf("Buffer$", message))).toMatchObject(message);
    expect(hexOf("Buffer$", {})).toBe("");
    expect(hexOf("RequestInput", { constructor$: { case: "value", value: "x" } })).toBe("1a0178");
  });

  it("reach the service", () => {
    const { Names, NamesStub } = generated.module("names.ts") as {
      Names: { methods: Record<string, { name: string; idempotency: string }> };
      NamesStub: { prototype: object };
    };
    expect(
      Object.entries(Names.methods).map(([key, { name, idempotency }]) => [key, name, idempotency]),
    ).toEqual([
      ["constructor$", "Constructor", "idempotent"],
      ["then$", "Then", "unknown"],
      ["getALL", "get_ALL", "unknown"],
      ["toString$", "ToString", "no_side_effects"],
      ["delete", "Delete", "unknown"],
    ]);
    for (const key of Object.keys(Names.methods)) expect(key in NamesStub.prototype).toBe(true);
  });
});
