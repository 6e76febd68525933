// Descriptors that a provider may send: what is wrong with them is told, and nothing of theirs runs, hangs or goes unseen.
import fc from "fast-check";
import protobuf from "protobufjs/light.js";
import { describe, expect, test } from "vitest";
import {
  type FieldDescriptorProtoInput,
  FileDescriptorProto,
  type FileDescriptorProtoInput,
  FileDescriptorSet,
} from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import { loadDescriptors } from "../../src/descriptor/load.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { Writer } from "../../src/protobuf/writer.js";
import { KindsService } from "../cli/gen/kinds.js";

const file = (input: FileDescriptorProtoInput): Uint8Array =>
  encodeMessage(FileDescriptorProto, { name: "a.proto", package: "a", syntax: "proto3", ...input });

const int32 = (name: string, number: number): FieldDescriptorProtoInput => ({
  ...{ name, number, label: 1, type: 5 },
});

const message = (...field: FieldDescriptorProtoInput[]): Uint8Array =>
  file({ messageType: [{ name: "M", field }] });

/** A file of messages in messages, deeper than any encoder of ours goes. */
function nested(depth: number): Uint8Array {
  let inner = Buffer.from("\n\x01M");
  for (let i = 0; i < depth; i++) {
    inner = Buffer.concat([Buffer.from("\n\x01M"), new Writer().uint32(0x1a).bytes(inner).finish()]);
  }
  return Buffer.concat([file({}), new Writer().uint32(0x22).bytes(inner).finish()]);
}

function typesIn(scope: protobuf.NamespaceBase): protobuf.Type[] {
  return scope.nestedArray.flatMap((one) => [
    ...(one instanceof protobuf.Type ? [one] : []),
    ...(one instanceof protobuf.Namespace ? typesIn(one) : []),
  ]);
}

const many = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe("loadDescriptors", () => {
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /it is empty/],
    ["JSON", Buffer.from('{"nested":{}}'), /no valid FileDescriptorProto/],
    ["cut bytes", message(int32("x", 1)).subarray(0, -1), /no valid FileDescriptorProto/],
    [
      "a FileDescriptorSet",
      encodeMessage(FileDescriptorSet, { file: [{ name: "a.proto" }] }),
      /give each of its files/,
    ],
    ["a name with a blank", file({ messageType: [{ name: "a b" }] }), /a descriptor has the name "a b"/],
    ["code for a name", message(int32("x;process.exit(9)", 1)), /has the name "x;process\.exit\(9\)"/],
    ["code for a package", file({ package: "a.b()" }), /has the name "b\(\)"/],
    ["code for an enum value", file({ enumType: [{ name: "E", value: [{ name: '"' }] }] }), /has the name/],
    ["no name", file({ service: [{ method: [] }] }), /has the name ""/],
    ["a prototype for a name", file({ messageType: [{ name: "__proto__" }] }), /has the name "__proto__"/],
    ["one name twice", message(int32("x", 1), int32("x", 2)), /declare a\.M\.x twice/],
    ["one number twice", message(int32("x", 1), int32("y", 1)), /duplicate id 1/],
    ["a number beyond the largest", message(int32("x", 2 ** 29)), /a\.M\.x has the number 536870912/],
    ["no number", message({ name: "x", label: 1, type: 5 }), /a\.M\.x has the number 0/],
    ["no type", message({ name: "x", number: 1, label: 1 }), /a\.M\.x has no type/],
    [
      "a type that is not there",
      message({ ...int32("x", 1), type: 11, typeName: ".a.N" }),
      /a\.M\.x needs the message "\.a\.N", which no descriptor declares/,
    ],
    [
      "a type whose name merely ends so",
      message({ ...int32("x", 1), type: 11, typeName: ".M" }),
      /needs the message "\.M"/,
    ],
    [
      "a message where an enum should be",
      message({ ...int32("x", 1), type: 14, typeName: ".a.M" }),
      /needs the enum "\.a\.M"/,
    ],
    ["a oneof that is not there", message({ ...int32("x", 1), oneofIndex: 3 }), /a oneof that is not there/],
    [
      "a method without a message",
      file({ service: [{ name: "S", method: [{ name: "Do", inputType: ".a.M" }] }] }),
      /Do needs the message "\.a\.M"/,
    ],
    ["an edition of the future", file({ syntax: "editions", edition: 9999 }), /Unsupported edition/],
    ["messages nested without end", nested(200), /too deep|max depth/],
    ["packages nested without end", file({ package: Array(101).fill("a").join(".") }), /too deep/],
    [
      "more fields than protobufjs gets through",
      message(...many(4097).map((i) => int32(`f${i}`, i))),
      /too many fields: a\.M with its 4097/,
    ],
    [
      "more extensions than protobufjs gets through",
      file({
        messageType: [{ name: "M", extensionRange: [{ start: 1, end: 10_000 }] }],
        extension: many(4097).map((i) => ({ ...int32(`f${i}`, i), extendee: ".a.M" })),
      }),
      /too many fields: a\.M/,
    ],
  ])("refuses %s", (_, bytes, text) => {
    expect(() => loadDescriptors([bytes])).toThrow(TypeError);
    expect(() => loadDescriptors([bytes])).toThrow(text);
  });

  test("refuses what is no bytes, and more bytes than any service has", () => {
    expect(() => loadDescriptors(["{}" as unknown as Uint8Array])).toThrow(/not the bytes of/);
    const large = file({ name: "x".repeat(8 * 1024 * 1024) });
    expect(() => loadDescriptors([large])).toThrow(/at most 8388608 are read/);
    // What the program itself brings has no limit.
    expect(() => loadDescriptors([large], true)).not.toThrow();
  });

  test("a descriptor with some bytes changed is refused with a TypeError, or its types can be used", () => {
    const own = KindsService.descriptors;
    const change = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 0x22, 0x2e, 0x7f, 0xff)));
    fc.assert(
      fc.property(
        fc.nat(own.length - 1),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (which, changes) => {
          const bytes = Buffer.from(own[which] as Uint8Array);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          let root: protobuf.Root;
          try {
            ({ root } = loadDescriptors(own.map((one, i) => (i === which ? bytes : one))));
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
            return;
          }
          for (const type of typesIn(root)) expect(type.encode(type.decode(new Uint8Array(0))).len).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("takes files in any order, one file given twice, and no file that only declares options", () => {
    const base = file({ name: "base.proto", package: "b", messageType: [{ name: "B" }] });
    const user = file({
      dependency: ["base.proto", "google/protobuf/descriptor.proto"],
      messageType: [{ name: "M", field: [{ ...int32("b", 1), type: 11, typeName: ".b.B" }] }],
      extension: [{ ...int32("marked", 50_000), extendee: ".google.protobuf.FieldOptions" }],
    });
    const loaded = loadDescriptors([user, base, base]);
    expect(loaded.type("a.M")?.fieldsArray.map(({ name }) => name)).toEqual(["b"]);
    expect(loaded.type("M")).toBeUndefined();
    expect(loaded.type("a.N")).toBeUndefined();
  });

  test("names that JavaScript's own objects have are fields as any other", () => {
    const names = [
      "constructor",
      "toString",
      "hasOwnProperty",
      "toJSON",
      "__proto__",
      "then",
      "encode",
      "default",
    ];
    const type = loadDescriptors([message(...names.map((name, i) => int32(name, i + 1)))]).type("a.M");
    const bytes = Buffer.from(names.flatMap((_, i) => [(i + 1) << 3, 7]));
    expect(Buffer.from(type?.encode(type.decode(bytes)).finish() ?? []).toString("hex")).toBe(
      bytes.toString("hex"),
    );
  });

  test("of two fields with one name in JSON each keeps its own", () => {
    const fields = [
      int32("foo_bar", 1),
      int32("fooBar", 2),
      { ...int32("x", 3), jsonName: "y" },
      int32("y", 4),
    ];
    const type = loadDescriptors([message(...fields)]).type("a.M");
    expect(type?.fieldsArray.map(({ name, jsonName }) => [name, jsonName])).toEqual([
      ["foo_bar", "foo_bar"],
      ["fooBar", "fooBar"],
      ["x", "x"],
      ["y", "y"],
    ]);
  });
});
