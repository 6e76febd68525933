// mprpc/json: what each option does, what is refused and how the text names it.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type ExactJson, parseExactJson, writeExactJson } from "../../src/descriptor/json-text.js";
import {
  fromJson,
  fromJsonText,
  JsonMappingError,
  type ToJsonOptions,
  TypeRegistry,
  toJson,
  toJsonText,
} from "../../src/json.js";
import type { ProtoFile } from "../../src/protobuf/file.js";
import type { MessageType } from "../../src/protobuf/types.js";
import { durationFromMs } from "../../src/protobuf/well-known.js";
import { Kinds } from "../cli/gen/kinds.js";
import { bytesType, compile, protoFiles } from "./protoc.js";

const oddProto = `
syntax = "proto2";
package odd;
import "google/protobuf/any.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
message Odd {
  optional int32 foo_bar = 1;
  optional int32 fooBar = 2;
  optional int32 named = 3 [json_name = "other name"];
  optional google.protobuf.Any any = 4;
  repeated google.protobuf.Any anys = 5;
  optional group Inner = 6 { optional int32 depth = 1; }
  optional google.protobuf.FieldMask mask = 7;
  optional google.protobuf.Value value = 8;
  map<int32, Level> levels = 9;
  repeated google.protobuf.NullValue nulls = 10;
  optional int32 __proto__ = 11;
  optional int32 constructor = 12;
  optional double ratio = 13;
  enum Level { NONE = 0; LOW = 1; HIGH = 2; }
  extensions 100 to max;
}
message Strict { required int32 id = 1; }
`;

const moreProto = `
syntax = "proto2";
package more;
import "odd.proto";
extend odd.Odd { optional int64 extra_count = 100; repeated odd.Odd.Level extra_levels = 101; }
message Held { optional int64 big_number = 1; optional odd.Odd.Level level = 2; }
`;

let odd: ProtoFile;
let more: ProtoFile;
let Odd: MessageType<Buffer, Uint8Array>;
let registry: TypeRegistry;

beforeAll(() => {
  const files = protoFiles(
    compile(["more.proto", "google/protobuf/duration.proto"], {
      "odd.proto": oddProto,
      "more.proto": moreProto,
    }),
  );
  odd = files.get("odd.proto") as ProtoFile;
  more = files.get("more.proto") as ProtoFile;
  Odd = bytesType("odd.Odd", odd);
  registry = new TypeRegistry([more, files.get("google/protobuf/duration.proto") as ProtoFile]);
});

/** There and back through a message of generated code. */
const kinds = (json: unknown, options?: ToJsonOptions) => toJson(Kinds, fromJson(Kinds, json), options);

/** There and back through bytes. */
const round = (text: string, options: ToJsonOptions = {}) =>
  toJsonText(Odd, fromJsonText(Odd, text, { registry }), { registry, ...options });

describe("messages of generated code", () => {
  test("go to JSON and back", () => {
    const message = Kinds.create({
      anInt64: -(2n ** 63n),
      aDouble: Number.NaN,
      aBytes: Buffer.from("zhang san"),
      partsById: new Map([[5n, { label: "five" }]]),
      choice: { case: "byId", value: 7n },
      lasts: durationFromMs(1500),
    });
    const json = toJson(Kinds, message);
    expect(json).toEqual({
      anInt64: "-9223372036854775808",
      aDouble: "NaN",
      aBytes: "emhhbmcgc2Fu",
      partsById: { "5": { label: "five" } },
      byId: "7",
      lasts: "1.500s",
    });
    expect(fromJson(Kinds, json)).toEqual(message);
    expect(fromJsonText(Kinds, toJsonText(Kinds, message))).toEqual(message);
  });

  test("refuse values of the wrong kind by the field's name, as encoding does", () => {
    // @ts-expect-error: what a program without types may pass.
    expect(() => toJson(Kinds, { anInt32: "many" })).toThrow(/an_int32/);
    const out = { at: { seconds: 253402300800n, nanos: 0 } };
    expect(() => toJson(Kinds, out)).toThrow(JsonMappingError);
    expect(() => toJson(Kinds, out)).toThrow(/Timestamp out of range/);
  });

  test("without their .proto file are refused", () => {
    const { file: _, ...bare } = Kinds;
    expect(() => toJson(bare, {})).toThrow("test.cli.Kinds has no .proto file with it");
    expect(() => new TypeRegistry([bare])).toThrow("generate its code again");
  });
});

describe("options", () => {
  test("useProtoNames", () => {
    const json = { anInt32: 1, manyParts: [{ label: "a" }] };
    expect(kinds(json, { useProtoNames: true })).toEqual({ an_int32: 1, many_parts: [{ label: "a" }] });
    expect(fromJson(Kinds, { an_int32: 1 })).toEqual(fromJson(Kinds, { anInt32: 1 }));
  });

  test("enumsAsNumbers, also in lists, maps, extensions and what an Any holds", () => {
    expect(kinds({ aColor: "DARK_BLUE" }, { enumsAsNumbers: true })).toEqual({ aColor: 2 });
    const text =
      '{"any":{"@type":"type.googleapis.com/more.Held","level":"HIGH"},"levels":{"7":"LOW"},"nulls":[null],"[more.extra_levels]":["HIGH"]}';
    expect(round(text)).toBe(text);
    expect(round(text, { enumsAsNumbers: true })).toBe(
      text.replaceAll('"HIGH"', "2").replaceAll('"LOW"', "1"),
    );
  });

  test("fillDefaults gives a value to what is not set, unless that says something", () => {
    const json = toJson(Kinds, {}, { fillDefaults: true }) as Record<string, unknown>;
    expect(json).toMatchObject({ anInt32: 0, anInt64: "0", aString: "", aBytes: "", aColor: "NONE" });
    expect(json).toMatchObject({ aBool: false, manyParts: [], partsById: {} });
    for (const absent of ["aPart", "anOptional", "byName", "at"]) expect(json).not.toHaveProperty(absent);
    expect(
      toJson(Kinds, {}, { fillDefaults: true, enumsAsNumbers: true, useProtoNames: true }),
    ).toMatchObject({
      a_color: 0,
    });
    // In proto2 the absence of every single field says something; an extension that is not there is none at all.
    expect(round("{}", { fillDefaults: true })).toBe('{"anys":[],"levels":{},"nulls":[]}');
  });

  test("ignoreUnknown passes over fields and names of values, at any depth", () => {
    const json = { x: 1, aPart: { y: 2, label: "l" }, aColor: "PINK", manyParts: [{ z: [] }] };
    expect(() => fromJson(Kinds, json)).toThrow('test.cli.Kinds has no field "x"');
    expect(toJson(Kinds, fromJson(Kinds, json, { ignoreUnknown: true }))).toEqual({
      aPart: { label: "l" },
      manyParts: [{}],
    });
    // What is wrong for another reason stays wrong.
    expect(() => fromJson(Kinds, { anInt32: "x" }, { ignoreUnknown: true })).toThrow("an_int32");
  });

  test("indent", () => {
    expect(
      toJsonText(Kinds, { manyBytes: ["a", "b"].map((one) => Buffer.from(one)), aPart: {} }, { indent: 2 }),
    ).toBe('{\n  "aPart": {},\n  "manyBytes": [\n    "YQ==",\n    "Yg=="\n  ]\n}');
  });

  test.each<[Record<string, unknown>, string]>([
    [{ indent: 11 }, 'toJsonText: option "indent": expected an integer from 0 to 10, got 11'],
    [{ useProtoName: true }, 'toJsonText: unknown option "useProtoName"; did you mean "useProtoNames"?'],
    [{ registry: {} }, 'toJsonText: option "registry": expected a TypeRegistry, got an object'],
    [{ fillDefaults: 1 }, 'option "fillDefaults": expected true or false, got 1'],
  ])("refuses %j", (options, text) => {
    expect(() => toJsonText(Kinds, {}, options)).toThrow(text);
  });
});

describe("Any and extensions", () => {
  const held = '{"@type":"type.googleapis.com/more.Held","bigNumber":"9007199254740993"}';

  test("take their types from the registry", () => {
    const text = `{"any":${held},"anys":[{"@type":"a.b/google.protobuf.Duration","value":"1.500s"}],"[more.extra_count]":"-1"}`;
    expect(round(text)).toBe(text);
    expect(round(text, { useProtoNames: true })).toContain('"big_number"');
  });

  test("numbers inside arrive exactly or are refused", () => {
    expect(round('{"any":{"@type":"x/more.Held","bigNumber":9007199254740993}}')).toContain(
      "9007199254740993",
    );
    const rounded = { any: { "@type": "x/more.Held", bigNumber: 2 ** 53 } };
    expect(() => fromJson(Odd, rounded, { registry })).toThrow(
      /^more\.Held\.big_number: 9007199254740992 may not/,
    );
  });

  test.each([
    [
      `{"any":${held}}`,
      'odd.Odd.any: the message "type.googleapis.com/more.Held" is in none of the .proto files',
    ],
    ['{"any":{"@type":"x/Odd"}}', 'odd.Odd.any: the message "x/Odd" is in none'],
    ['{"any":{"value":"1s"}}', 'odd.Odd.any: expected "@type", the name of the message inside'],
    ['{"any":[]}', 'odd.Odd.any: expected an object with "@type": []'],
    ['{"[more.extra_count]":1}', 'odd.Odd has no field "[more.extra_count]"'],
  ])("without a registry: %s", (text, reason) => {
    expect(() => fromJsonText(Odd, text)).toThrow(JsonMappingError);
    expect(() => fromJsonText(Odd, text)).toThrow(reason);
  });

  test("a well-known type inside stands in value, and nothing beside it", () => {
    const any = (rest: string) => `{"any":{"@type":"x/google.protobuf.Duration"${rest}}}`;
    expect(() => round(any(""))).toThrow(
      'odd.Odd.any: expected "value", which holds a google.protobuf.Duration',
    );
    expect(() => round(any(',"value":"1s","seconds":"1"'))).toThrow('has no field "seconds"');
    expect(() => round(any(',"value":"1h"'))).toThrow(/^odd\.Odd\.any: google\.protobuf\.Duration: invalid/);
  });

  test("an Any of an unknown type cannot be written, and the text names it", () => {
    const bytes = fromJsonText(Odd, `{"any":${held}}`, { registry });
    expect(() => toJson(Odd, bytes)).toThrow('the message "more.Held" is in none of the .proto files');
  });
});

describe("JSON text", () => {
  test.each([
    ['{"anInt32":1,"anInt32":1}', "anInt32 is given twice"],
    ['{"aPart":{"label":"a","label":"b"}}', "aPart.label is given twice"],
    ['{"manyParts":[{},{"data":"","\\u0064ata":""}]}', "manyParts[1].data is given twice"],
    ['{"partsById":{"1":{},"1":{}}}', "partsById.1 is given twice"],
    ['{"anInt32":1,"an_int32":1}', "test.cli.Kinds.an_int32 is given twice"],
    ['{"byId":1,"byName":"x"}', "test.cli.Kinds: multiple values for oneof choice"],
    ['{"aDouble":1e400}', "aDouble: 1e400 is beyond what a number can be"],
    ['{"anInt64":9223372036854775808}', "test.cli.Kinds.an_int64: out of range for int64"],
    ['{"anInt64":1e30}', "test.cli.Kinds.an_int64: 1e+30 may not be the number that was meant"],
    ['{"anInt32":1.5}', "test.cli.Kinds.an_int32: not an integer: 1.5"],
    ['{"aFloat":3.5e38}', "test.cli.Kinds.a_float: out of range for float"],
    ['{"facts":{"a":9007199254740993}}', "test.cli.Kinds.facts: 9007199254740993 cannot be kept"],
    ['{"at":"9999-12-31T23:59:60Z"}', "test.cli.Kinds.at: google.protobuf.Timestamp: invalid"],
    ['{"at":"0000-01-01T00:00:00Z"}', "test.cli.Kinds.at: google.protobuf.Timestamp: timestamp out of range"],
    ['{"lasts":"315576000001s"}', "test.cli.Kinds.lasts: google.protobuf.Duration: duration out of range"],
    ['{"aBytes":"*"}', 'test.cli.Kinds.a_bytes: expected bytes as base64, got "*"'],
    ['{"aString":"\\ud800"}', "test.cli.Kinds.a_string: unpaired high surrogate"],
    ["{'a':1}", "test.cli.Kinds: not JSON:"],
    ["", "test.cli.Kinds: not JSON:"],
    [`${"[".repeat(2000)}${"]".repeat(2000)}`, "the JSON is nested more than 1000 deep"],
    [`${'{"aPart":'.repeat(1)}${'{"inner":'.repeat(200)}{}${"}".repeat(201)}`, "nested more than 100 deep"],
  ])("%s is refused", (text, reason) => {
    expect(() => fromJsonText(Kinds, text)).toThrow(JsonMappingError);
    expect(() => fromJsonText(Kinds, text)).toThrow(reason);
  });

  test("a value of some MB is not quoted whole", () => {
    const long = "x".repeat(5_000_000);
    for (const json of [
      { anInt32: long },
      { [long]: 1 },
      { aColor: long },
      { at: long },
      { aBytes: `${long}*` },
    ]) {
      const thrown = [() => fromJson(Kinds, json), () => fromJsonText(Kinds, JSON.stringify(json))].map(
        (read) => {
          try {
            return read();
          } catch (error) {
            return error;
          }
        },
      );
      for (const error of thrown) {
        expect(error).toBeInstanceOf(JsonMappingError);
        expect((error as Error).message.length).toBeLessThan(600);
      }
    }
  });

  test("keeps every number", () => {
    const message = fromJsonText(
      Kinds,
      '{"anInt64":9007199254740993,"aUint64":18446744073709551615,"aDouble":-0,"aFloat":-0.0,"anInt32":1e3}',
    );
    expect(message).toMatchObject({ anInt64: 9007199254740993n, aUint64: 2n ** 64n - 1n, anInt32: 1000 });
    expect(Object.is(message.aDouble, -0) && Object.is(message.aFloat, -0)).toBe(true);
    expect(toJsonText(Kinds, message)).toBe(
      '{"aDouble":-0,"aFloat":-0,"anInt32":1000,"anInt64":"9007199254740993","aUint64":"18446744073709551615"}',
    );
  });

  test("reads every double that it writes, also in a JSON value within a message", () => {
    for (const number of [28368373250528430, 1e300, -1.7976931348623157e308, 5e-324, 1e21, 2 ** 70, -0]) {
      const text = toJsonText(Kinds, fromJson(Kinds, { facts: { number }, aDouble: number }));
      const back = fromJsonText(Kinds, text);
      expect(toJson(Kinds, back)).toEqual({ facts: { number }, aDouble: number });
    }
  });

  test("is read as JSON.parse reads it, and written as JSON.stringify writes it", () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false, maxDepth: 6 }), fc.nat(4), (text, indent) => {
        const value: unknown = JSON.parse(text);
        const read = parseExactJson(text);
        const rounded = (_: string, one: unknown) => (typeof one === "bigint" ? Number(one) : one);
        expect(JSON.stringify(read, rounded)).toBe(JSON.stringify(value));
        expect(JSON.parse(writeExactJson(read, indent))).toEqual(value);
        // -0 is all that JSON.stringify writes in another way.
        const plain = JSON.parse(JSON.stringify(value)) as ExactJson;
        expect(writeExactJson(plain, indent)).toBe(JSON.stringify(plain, undefined, indent));
      }),
    );
  });

  test("takes a string of some MB, and one that ends in backslashes", () => {
    const aString = `${'\\"\n'.repeat(1_000_000)}\\\\`;
    expect(fromJsonText(Kinds, JSON.stringify({ aString })).aString).toBe(aString);
  });
});

describe("names", () => {
  test.each([
    ['{"foo_bar":1,"fooBar":2}'],
    ['{"other name":3}'],
    ['{"Proto":11,"constructor":12}'],
    ['{"inner":{"depth":1}}'],
    ['{"mask":"fooBar,b.c"}'],
    ['{"value":null}'],
    ['{"value":{"a":[1,"two",null,-0]}}'],
    ['{"nulls":[null,null]}'],
    ['{"levels":{"-5":"HIGH"},"ratio":-0}'],
  ])("%s", (text) => {
    const fields = JSON.parse(text) as Record<string, unknown>;
    expect(JSON.parse(round(text))).toEqual(JSON.parse(text));
    expect(round(text).length).toBe(text.length);
    expect(Object.keys(fields).length).toBeGreaterThan(0);
  });

  test("a closed enum takes no number that it does not have", () => {
    expect(() => round('{"levels":{"1":5}}')).toThrow("odd.Odd.levels: unknown enum value: 5");
  });

  test("a required field that is missing is named", () => {
    const strict = bytesType("odd.Strict", odd);
    expect(() => fromJson(strict, {})).toThrow("odd.Strict.id is required");
    expect(() => toJson(strict, Buffer.alloc(0))).toThrow(/\bid\b/);
  });
});
