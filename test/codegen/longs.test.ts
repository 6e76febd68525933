import path from "node:path";
import { decodeMessage, encodeMessage, type MessageType } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

/** `--int64` and `[jstype]`: what 64-bit integers are, and that none loses a digit. */
const forms = ["bigint", "number", "string"] as const;
const generated = new Map<string, Generated>();

beforeAll(async () => {
  for (const int64 of forms) {
    generated.set(int64, await generateAndImport([path.join(protoFolder, "longs.proto")], { int64 }));
  }
});

afterAll(() => Promise.all([...generated.values()].map((one) => one.remove())));

const typeOf = (form: string) => generated.get(form)?.type("Longs") as MessageType<unknown, unknown>;

const given = {
  ...{ plain: -5n, text: "9007199254740993", number: 7, many: [1, -2n], both: new Map([[3n, -4n]]) },
  ...{ maybe: 0, one: { case: "picked", value: 6n } },
};

describe.each(forms)("--int64 %s", (form) => {
  const value = { bigint: BigInt, number: Number, string: String }[form];

  test("decodes to that, and [jstype] comes first", () => {
    const message = decodeMessage(typeOf(form), encodeMessage(typeOf(form), given));
    expect(message).toEqual({
      ...{ plain: value(-5), text: "9007199254740993", number: 7, many: [value(1), value(-2)] },
      ...{ both: new Map([[value(3), value(-4)]]), maybe: value(0) },
      one: { case: "picked", value: value(6) },
    });
    // What was decoded can be encoded.
    expect(encodeMessage(typeOf(form), message)).toEqual(encodeMessage(typeOf(form), given));
    expect(typeOf(form).create(given)).toEqual(message);
  });

  test("an absent one is 0 of its form, and is not sent", () => {
    expect(decodeMessage(typeOf(form), Buffer.alloc(0))).toMatchObject({
      plain: value(0),
      text: "0",
      number: 0,
    });
    expect(encodeMessage(typeOf(form), typeOf(form).create({}))).toEqual(Buffer.alloc(0));
  });
});

test("what a number cannot hold is refused, and named", () => {
  const bytes = encodeMessage(typeOf("bigint"), { plain: 2n ** 53n });
  expect(() => decodeMessage(typeOf("number"), bytes)).toThrow(
    "Longs.plain: the value is beyond 2^53, which a number cannot hold; generate it as bigint",
  );
  for (const plain of [2n ** 53n - 1n, -(2n ** 53n) + 1n]) {
    const fits = encodeMessage(typeOf("bigint"), { plain });
    expect(decodeMessage(typeOf("number"), fits)).toMatchObject({ plain: Number(plain) });
  }
  expect(() => typeOf("number").create({ plain: 2n ** 60n })).toThrow("no whole number up to 2^53");
});

test("text that is no 64-bit integer is refused, and named", () => {
  for (const plain of ["", "1.5", "0x10", " 1", "9223372036854775808", "abc"]) {
    expect(() => encodeMessage(typeOf("string"), { plain }), plain).toThrow("Longs.plain: expected int64");
  }
});
