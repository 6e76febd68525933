import path from "node:path";
import {
  decodeMessage,
  type Extension,
  encodeMessage,
  type MessageType,
  Reader,
  unknownFields,
} from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

/** The whole language: what proto2 and editions have beyond proto3, with protoc's values. */
let language: Generated;
let edition: Generated;

beforeAll(async () => {
  language = await generateAndImport([path.join(protoFolder, "language.proto")]);
  edition = await generateAndImport([path.join(protoFolder, "edition.proto")]);
});

afterAll(() => Promise.all([language.remove(), edition.remove()]));

type Fields = Record<string, unknown>;

function typeOf(name: string): MessageType<Fields, Fields> {
  return (name.startsWith("Modern") ? edition : language).type(name) as MessageType<Fields, Fields>;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const decode = (name: string, text: string): Fields => decodeMessage(typeOf(name), hex(text));
const encode = (name: string, message: Fields): string =>
  encodeMessage(typeOf(name), message).toString("hex");
const again = (name: string, text: string): string => encode(name, decode(name, text));

describe("presence and defaults", () => {
  test("absent reads undefined, and the defaults stand in a const", () => {
    const message = decode("Rule", "");
    expect(Object.values(message).every((value) => value === undefined)).toBe(true);
    const { RuleDefaults } = language.module("language.ts") as { RuleDefaults: Fields };
    expect(RuleDefaults).toEqual({
      strict: true,
      text: "abcdef",
      accent: "é",
      bytesOfAccent: "é",
      data: Buffer.from("日本"),
      octal: 63,
      spaced: -5,
      infinite: Number.POSITIVE_INFINITY,
      negative: Number.NEGATIVE_INFINITY,
      none: Number.NaN,
      mood: 2,
      long: -(2n ** 63n),
      ulong: 2n ** 64n - 1n,
      odd: Buffer.from([0, 34, 92, 255]),
    });
  });

  test("what was sent is sent again, also when it is the default", () => {
    // strict = true, then strict = false.
    expect(again("Rule", "c80101")).toBe("c80101");
    expect(again("Rule", "c80100")).toBe("c80100");
    expect(again("Rule", "")).toBe("");
  });

  test("fields go by their numbers, wherever the .proto has them", () => {
    // text = 1 and default = 14 come behind strict = 25 in the file.
    expect(encode("Rule", { strict: true, default: 1, text: "a" })).toBe("0a01617001c80101");
    expect(again("Rule", "0a01617001c80101")).toBe("0a01617001c80101");
  });

  test("a field named default is a field", () => {
    expect(decode("Rule", "7000").default).toBe(0);
    expect(again("Rule", "7000")).toBe("7000");
    expect(decode("Rule", "").default).toBeUndefined();
  });

  test("a required message is asked for, not made up", () => {
    expect(() => typeOf("Chain").create({})).toThrow(
      new TypeError("Chain.next: a required field is missing"),
    );
    expect(() => decode("Chain", "")).toThrow("Chain.next: a required field is missing");
    expect(() => decode("Chain", "0a00")).toThrow("Chain.next: a required field is missing");
  });

  test("a closed enum's unknown number does not fill a required field, and is kept", () => {
    expect(() => decode("Moods", "3809")).toThrow("Moods.needed: a required field is missing");
    expect(again("Moods", "38013809")).toBe("38013809");
  });
});

describe("unknown fields", () => {
  const unknown = "9a3f0568656c6c6f a03f9601 ad3f01020304 b13f0102030405060708 bb3f0801bc3f";

  test("survive decoding and encoding as they came, of every wire type", () => {
    const message = decode("First", `0a0161 ${unknown}`);
    expect(message).toEqual({ label: "a" });
    expect(encode("First", message)).toBe(`0a0161${unknown.replaceAll(" ", "")}`);
  });

  test("stand under a property that nothing lists, and not at all when there are none", () => {
    const message = decode("First", unknown);
    expect(Object.keys(message)).toEqual(["label"]);
    expect(JSON.stringify(message)).toBe("{}");
    expect((message as { [unknownFields]?: Buffer })[unknownFields]).toEqual(hex(unknown));
    expect(unknownFields in decode("First", "0a0161")).toBe(false);
    expect({ ...message }).toEqual({ label: undefined });
  });

  test("are kept by create, whose message grows on its own", () => {
    const first = decode("First", "a03f01");
    const copy = typeOf("First").create(first);
    decodeInto(first, "a03f02");
    decodeInto(copy, "a03f03");
    expect(encode("First", first)).toBe("a03f01a03f02");
    expect(encode("First", copy)).toBe("a03f01a03f03");
  });

  test("are merged when a message comes twice", () => {
    // Groups.part twice, each with an unknown field 9 inside.
    expect(again("Groups", "0b48010c 0b48020c")).toBe("0b480148020c");
  });

  test("many of them take linear time and hold one buffer", () => {
    const bytes = Buffer.alloc(400_000, hex("a03f01"));
    const message = decodeMessage(typeOf("First"), bytes.subarray(0, 399_999));
    expect(encodeMessage(typeOf("First"), message)).toEqual(bytes.subarray(0, 399_999));
  });

  test("a closed enum's numbers that it does not have are unknown fields", () => {
    const message = decode("Moods", "0809 1001 1009 1a0b 02 f7ffffffffffffffff01 2809 3801");
    expect(message).toMatchObject({ one: undefined, many: [1], packed: [2], choice: undefined });
    // Those of the packed list become fields of their own.
    expect(encode("Moods", decode("Moods", "1a0c 02 f7ffffffffffffffff01 07 3801"))).toBe(
      "1a01023801 18f7ffffffffffffffff01 1807".replaceAll(" ", ""),
    );
    // A map entry whose value is unknown is kept whole.
    expect(again("Moods", "2205 0a0161 1009 3801")).toBe("380122050a01611009");
  });
});

function decodeInto(message: Fields, text: string): void {
  const bytes = hex(text);
  const type = typeOf("First");
  type.decode(new Reader(bytes), bytes.length, 0, message);
}

describe("groups and delimited messages", () => {
  test("are read and written between their tags, also in a oneof", () => {
    const message = {
      part: { name: "a", inner: { depth: 1, again: { part: { name: "b" } } } },
      item: [{ number: 1 }, { number: 2 }],
      kind: { case: "picked", value: { label: "x" } },
    };
    const text = encode("Groups", message);
    expect(text).toBe("0b0a016113080112050b0a01620c140c1b08011c1b08021c230a017824");
    expect(decode("Groups", text)).toMatchObject(message);
  });

  test("that are not closed, or closed by another tag, are refused", () => {
    for (const text of ["0b", "0b0a0161", "0b0a016114", "0b0b0c", "0c", "230c"]) {
      expect(() => decode("Groups", text), text).toThrow();
    }
  });

  test("nested without end are refused", () => {
    expect(() => decode("Groups", "0b".repeat(300) + "0c".repeat(300))).toThrow("nested deeper than 100");
  });
});

const extension = (name: string) =>
  language.module("language.ts")[name] as Extension<object, unknown, unknown>;

describe("extensions", () => {
  test("are read from unknown fields and written to them", () => {
    const message = decode("Extended", "0a0161 a20601 62 a80601 a80602 c03e00");
    expect(message).toEqual({ own: "a" });
    expect(extension("extText").get(message)).toBe("b");
    expect(extension("numbers").get(message)).toEqual([1, 2]);
    expect(extension("rule").get(message)).toBeUndefined();
    expect(extension("rule").has(message)).toBe(false);
    expect(extension("extText").default).toBe("none");
    extension("extText").set(message, "new");
    extension("numbers").clear(message);
    expect(encode("Extended", message)).toBe("0a0161c03e00a206036e6577");
  });

  test("hold messages, groups, enums and packed lists", () => {
    const message: Fields = {};
    extension("rule").set(message, { strict: false });
    extension("bunch").set(message, [{ flower: "rose" }]);
    extension("packedNumbers").set(message, [1n, -1]);
    extension("extMood").set(message, 2);
    extension("Scope_nested").set(message, { value: 5 });
    const back = decode("Extended", encode("Extended", message));
    expect(extension("rule").get(back)).toMatchObject({ strict: false });
    expect(extension("bunch").get(back)).toEqual([{ flower: "rose" }]);
    expect(extension("packedNumbers").get(back)).toEqual([1n, -1n]);
    expect(extension("extMood").get(back)).toBe(2);
    expect(extension("Scope_nested").get(back)).toEqual({ value: 5 });
  });

  test("of the wrong kind are refused, and the old value stays", () => {
    const message: Fields = {};
    extension("extText").set(message, "old");
    expect(() => extension("extText").set(message, 5)).toThrow(
      "lang.ext_text: expected string, got number (5)",
    );
    expect(extension("extText").get(message)).toBe("old");
  });

  test("of a MessageSet go as its items", () => {
    const set: Fields = {};
    extension("First_inSet").set(set, { label: "x" });
    extension("Second_inSet").set(set, { count: 3 });
    const text = encode("OldSet", set);
    expect(text).toBe("0b10e9071a030a01780c 0b10ea071a0208030c".replaceAll(" ", ""));
    const back = decode("OldSet", text);
    expect(extension("First_inSet").get(back)).toEqual({ label: "x" });
    extension("First_inSet").clear(back);
    expect(encode("OldSet", back)).toBe("0b10ea071a0208030c");
    // The message in front of its number, which is as good.
    expect(extension("Second_inSet").get(decode("OldSet", "0b1a02080310ea070c"))).toEqual({ count: 3 });
  });
});

describe("editions", () => {
  test("presence, encoding and enums follow the features", () => {
    const message = {
      ...{ explicit: "", implicit: "", needed: "n", inner: { needed: "i" }, prefixed: { needed: "p" } },
      ...{ packed: [1, 2], expanded: [1, 2], open: 5, closed: 1, byName: { a: { needed: "m" } } },
      many: [{ needed: "x" }],
    };
    const bytes = encodeMessage(typeOf("Modern"), message);
    expect(bytes.toString("hex")).toBe(
      [
        ...["0a00", "1a016e", "231a016924", "2a031a0170", "32020102", "38013802", "4005", "4801"],
        ...["5a080a0161 12031a016d", "631a017864"],
      ]
        .join("")
        .replaceAll(" ", ""),
    );
    expect(decodeMessage(typeOf("Modern"), bytes)).toMatchObject({ explicit: "", implicit: "", open: 5 });
    expect(decodeMessage(typeOf("Modern"), hex("1a0178")).explicit).toBeUndefined();
  });

  test("UTF-8 is checked where the features say", () => {
    expect(() => decode("Modern", "1a01ff")).toThrow("invalid UTF-8");
    expect(decode("Modern", "1a0178 5201ff").unchecked).toBe("\ufffd");
  });
});
