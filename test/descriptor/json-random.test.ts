// Random messages of the types protobuf tests with, by the JSON of two libraries: each must read what the other writes.
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  type JsonValue as EsJson,
  fromJson as esFromJson,
  fromJsonString as esFromJsonString,
  toJson as esToJson,
  toJsonString as esToJsonString,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { fromJson, fromJsonText, TypeRegistry, toJson, toJsonText } from "../../src/json.js";
import type { ProtoFile } from "../../src/protobuf/file.js";
import { decodeMessage, encodeMessage, type MessageType } from "../../src/protobuf/types.js";
import { generatedTypes } from "../conformance/generated.js";
import { prepare } from "../conformance/prepare.js";
import { bytesType, compile, protoFiles } from "./protoc.js";

const set = compile(
  ["proto2", "proto3", "edition2023"].map((name) => `google/protobuf/test_messages_${name}.proto`),
);
const files = protoFiles(set);
const registry = new TypeRegistry(files.values());
const esRegistry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));

const folder = fileURLToPath(new URL("../../.cache/conformance/test-random", import.meta.url));
let generated: Map<string, MessageType>;

beforeAll(async () => {
  await prepare(folder, "generated");
  generated = await generatedTypes(path.join(folder, "gen"));
});

const double = fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 5e-324));
const float = fc.oneof(fc.float(), fc.constantFrom(0, -0, Number.NaN, Number.NEGATIVE_INFINITY));
const text = fc.string({ unit: "grapheme", maxLength: 8 });
const integer = (min: number, max: number) =>
  fc.oneof(fc.integer({ min, max }), fc.constantFrom(0, min, max));
const long = (min: bigint, max: bigint) => fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(0n, min, max));
const int32 = integer(-(2 ** 31), 2 ** 31 - 1);
const uint32 = integer(0, 2 ** 32 - 1);
const int64 = long(-(2n ** 63n), 2n ** 63n - 1n);
const uint64 = long(0n, 2n ** 64n - 1n);

const scalars: Readonly<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  [ScalarType.DOUBLE]: double,
  [ScalarType.FLOAT]: float,
  [ScalarType.INT32]: int32,
  [ScalarType.SINT32]: int32,
  [ScalarType.SFIXED32]: int32,
  [ScalarType.UINT32]: uint32,
  [ScalarType.FIXED32]: uint32,
  [ScalarType.INT64]: int64,
  [ScalarType.SINT64]: int64,
  [ScalarType.SFIXED64]: int64,
  [ScalarType.UINT64]: uint64,
  [ScalarType.FIXED64]: uint64,
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 8 }),
};

const nanos = integer(0, 999_999_999);

/** Messages with a JSON form of their own, in what that can say. */
const known: Readonly<Record<string, () => fc.Arbitrary<Record<string, unknown>>>> = {
  Timestamp: () => fc.record({ seconds: long(-62_135_596_800n, 253_402_300_799n), nanos }),
  Duration: () =>
    fc
      .tuple(long(0n, 315_576_000_000n), nanos, fc.boolean())
      .map(([seconds, part, minus]) =>
        minus ? { seconds: -seconds, nanos: part === 0 ? 0 : -part } : { seconds, nanos: part },
      ),
  FieldMask: () =>
    fc.record({ paths: fc.array(fc.constantFrom("a", "foo_bar", "a.b_c.d", "x1"), { maxLength: 3 }) }),
  Any: () => fc.constant({}),
};

/** How protobuf-es is given a message: a plain object. */
function messageOf(type: DescMessage, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const short = type.typeName.replace(/^google\.protobuf\./, "");
  if (short !== type.typeName && known[short] !== undefined) return known[short]();
  if (["Struct", "Value", "ListValue"].includes(short)) return jsonMessageOf(type);
  const fields = type.fields
    .filter(({ oneof }) => oneof === undefined)
    .map((field) => [field, depth] as const);
  const parts = fields.map(([field]) =>
    fc
      .option(fieldValue(field, depth), { freq: 2, nil: undefined })
      .map((value) => ({ [field.localName]: value })),
  );
  const oneofs = type.oneofs.map((oneof) =>
    fc
      .option(
        fc.oneof(
          ...oneof.fields.map((field) =>
            fieldValue(field, depth).map((value) => ({ case: field.localName, value })),
          ),
        ),
        { nil: undefined },
      )
      .map((value) => (value === undefined ? {} : { [oneof.localName]: value })),
  );
  // Few of the hundred fields at a time: more tests, smaller failures.
  const all = [...parts, ...oneofs];
  return fc
    .subarray(all, { maxLength: Math.min(6, all.length) })
    .chain((chosen) => fc.tuple(...chosen))
    .map((chosen) => {
      const whole: Record<string, unknown> = Object.assign({}, ...chosen);
      return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
    });
}

function jsonMessageOf(type: DescMessage): fc.Arbitrary<Message & Record<string, unknown>> {
  const json =
    type.typeName === "google.protobuf.Struct"
      ? fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }))
      : type.typeName === "google.protobuf.ListValue"
        ? fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 })
        : fc.jsonValue({ maxDepth: 3 });
  return json.map((value) => esFromJson(type, value as EsJson) as Message & Record<string, unknown>);
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const single = (kind: { message?: DescMessage; scalar?: ScalarType; values?: readonly number[] }) => {
    if (kind.values !== undefined) return fc.constantFrom(...kind.values);
    if (kind.scalar !== undefined) return scalars[kind.scalar];
    const type = kind.message as DescMessage;
    // protobuf-es has bare values in some places.
    if (type.typeName === "google.protobuf.Struct") return fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }));
    const wrapped = /^google\.protobuf\.\w+Value$/.test(type.typeName) ? type.field.value : undefined;
    if (wrapped?.scalar !== undefined && field.fieldKind === "message" && field.oneof === undefined) {
      return scalars[wrapped.scalar];
    }
    // Types that hold themselves end somewhere; Google's own do by themselves, and a Value must hold something.
    const ends = depth > 1 && !type.typeName.startsWith("google.protobuf.");
    const inner = ends ? fc.constant({}) : messageOf(type, depth + 1);
    return inner.map((init) => ("$typeName" in init ? init : create(type, init)));
  };
  const values = field.enum?.values.map(({ number }) => number);
  const parts = {
    ...(field.message === undefined ? {} : { message: field.message }),
    ...(field.scalar === undefined ? {} : { scalar: field.scalar }),
    ...(values === undefined ? {} : { values }),
  };
  if (field.fieldKind === "list") return fc.array(single(parts), { maxLength: 3 });
  if (field.fieldKind !== "map") return single(parts);
  const key = scalars[field.mapKey].map(String);
  return fc
    .array(fc.tuple(key, single(parts)), { maxLength: 3 })
    .map((entries) => Object.fromEntries(entries.filter(([name]) => name !== "__proto__")));
}

/** As it is read: what was given for it may have had parts that are not sent. */
function asRead(message: Message, type: DescMessage): Message {
  return fromBinary(type, toBinary(type, message));
}

describe.each([
  ["protobuf_test_messages.proto3.TestAllTypesProto3", "google/protobuf/test_messages_proto3.proto"],
  ["protobuf_test_messages.proto2.TestAllTypesProto2", "google/protobuf/test_messages_proto2.proto"],
  [
    "protobuf_test_messages.editions.TestAllTypesEdition2023",
    "google/protobuf/test_messages_edition2023.proto",
  ],
])("%s", (name, file) => {
  const es = esRegistry.getMessage(name) as DescMessage;
  const type = bytesType(name, files.get(file) as ProtoFile);

  test("each library reads the JSON of the other, and both write the same", () => {
    fc.assert(
      fc.property(messageOf(es, 0), (init) => {
        const message = asRead(create(es, init), es);
        const bytes = toBinary(es, message);
        const theirs = esToJson(es, message, { registry: esRegistry });
        const ours = toJson(type, bytes, { registry });
        expect(ours).toEqual(theirs);
        const back = (read: Uint8Array) => esToJson(es, fromBinary(es, read), { registry: esRegistry });
        expect(back(fromJson(type, theirs, { registry }))).toEqual(theirs);
        expect(back(fromJsonText(type, toJsonText(type, bytes, { registry }), { registry }))).toEqual(theirs);
        const read = esFromJsonString(es, toJsonText(type, bytes, { registry }), { registry: esRegistry });
        expect(esToJson(es, read, { registry: esRegistry })).toEqual(theirs);
        expect(
          fromJsonText(type, esToJsonString(es, message, { registry: esRegistry }), { registry }),
        ).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });

  test("messages of generated code are what protobuf-es reads and writes, as bytes and as JSON", () => {
    const made = generated.get(name) as MessageType;
    fc.assert(
      fc.property(messageOf(es, 0), (init) => {
        const message = asRead(create(es, init), es);
        const theirs = esToJson(es, message, { registry: esRegistry });
        const jsonOf = (bytes: Uint8Array) => esToJson(es, fromBinary(es, bytes), { registry: esRegistry });
        const ours = decodeMessage(made, toBinary(es, message));
        expect(jsonOf(encodeMessage(made, ours))).toEqual(theirs);
        expect(toJson(made, ours, { registry })).toEqual(theirs);
        expect(jsonOf(encodeMessage(made, fromJson(made, theirs, { registry })))).toEqual(theirs);
        const written = toJsonText(made, ours, { registry });
        expect(jsonOf(encodeMessage(made, fromJsonText(made, written, { registry })))).toEqual(theirs);
      }),
      { numRuns: 300 },
    );
  });

  test("the forms that options choose are read back to the same message", () => {
    fc.assert(
      fc.property(messageOf(es, 0), fc.boolean(), fc.boolean(), fc.boolean(), (init, ...chosen) => {
        const [useProtoNames, enumsAsNumbers, fillDefaults] = chosen;
        const message = asRead(create(es, init), es);
        const options = { registry, useProtoNames, enumsAsNumbers, fillDefaults };
        const written = toJsonText(type, toBinary(es, message), options);
        const again = fromJsonText(type, written, { registry });
        expect(toJson(type, again, { registry })).toEqual(toJson(type, toBinary(es, message), { registry }));
        const form = {
          registry: esRegistry,
          useProtoFieldName: useProtoNames,
          enumAsInteger: enumsAsNumbers,
        };
        const theirs = esToJson(es, message, { ...form, alwaysEmitImplicit: fillDefaults });
        expect(JSON.parse(written)).toEqual(theirs);
      }),
      { numRuns: 200 },
    );
  });
});
