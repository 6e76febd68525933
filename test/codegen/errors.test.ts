import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CodegenError, type GenerateOptions, generate } from "../../src/codegen/index.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-codegen-errors-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

let number = 0;

/** Writes the files into a folder of their own, generates the first, and gives the error with paths cut short. */
async function errorOf(files: Record<string, string>, options?: GenerateOptions): Promise<string> {
  const here = path.join(folder, String(number++));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(here, name)), { recursive: true });
    await writeFile(path.join(here, name), text);
  }
  const [first = ""] = Object.keys(files);
  try {
    await generate([path.join(here, first)], options);
  } catch (error) {
    expect(error).toBeInstanceOf(CodegenError);
    return (error as Error).message
      .replaceAll(`${path.relative(process.cwd(), here)}/`, "")
      .replaceAll(`${here}/`, "");
  }
  return "no error";
}

const proto3 = 'syntax = "proto3";\npackage p;\n';

describe("syntax", () => {
  const cases: Array<[what: string, source: string, error: string]> = [
    [
      "a missing semicolon",
      `${proto3}message A {\n  int32 a = 1\n  int32 b = 2;\n}\n`,
      'a.proto:5:3: expected ";", not int32',
    ],
    [
      "a missing number",
      `${proto3}message A {\n  int32 a;\n}\n`,
      `a.proto:4:10: expected "=" and the field's number, not ;`,
    ],
    [
      "a bad number",
      `${proto3}message A {\n  int32 a = x;\n}\n`,
      "a.proto:4:13: expected the field's number, not x",
    ],
    [
      "a bad name",
      `${proto3}message 1A {\n}\n`,
      "a.proto:3:10: a space is missing between the number and the name\na.proto:3:9: expected the message's name, not 1",
    ],
    [
      "an unknown word",
      `${proto3}\nmesage A {}\n`,
      "a.proto:4:1: expected a declaration like message, enum, service, import or option, not mesage",
    ],
    [
      "no syntax line",
      "message A {\n  int32 a = 1;\n}\n",
      `a.proto:2:3: expected optional, required or repeated in front of the field's type (the file has no syntax = "proto3";)`,
    ],
    [
      "an open brace at the end",
      `${proto3}message A {\n  int32 a = 1;\n`,
      'a.proto:5:1: message A has no end: "}" is missing',
    ],
    [
      "an open comment",
      `${proto3}/* never ends\n`,
      "a.proto:3:1: this block comment has no end: */ is missing",
    ],
    [
      "a bad rpc",
      `${proto3}message A {}\nservice S {\n  rpc Do(A) return (A);\n}\n`,
      'a.proto:5:13: expected "returns", not return',
    ],
    [
      "a bad syntax line",
      'syntax = "proto4";\n',
      'a.proto:1:10: syntax "proto4" is not known: there are proto2 and proto3; an edition stands in edition = "2023";',
    ],
    [
      "nested too deeply",
      `${proto3}${"message A {\n".repeat(200)}${"}".repeat(200)}`,
      "a.proto:34:11: messages are nested more than 31 deep",
    ],
    [
      "several mistakes",
      `${proto3}message A {\n  int32 a;\n  B b = 1;\n  string = 3;\n}\nmesage C {}\n`,
      [
        `a.proto:4:10: expected "=" and the field's number, not ;`,
        "a.proto:6:10: expected the field's name, not =",
        "a.proto:8:1: expected a declaration like message, enum, service, import or option, not mesage",
      ].join("\n"),
    ],
  ];

  it.each(cases)("%s", async (_, source, error) => {
    expect(await errorOf({ "a.proto": source })).toBe(error);
  });

  it("an open string", async () => {
    expect(await errorOf({ "a.proto": `${proto3}import "x;\n` })).toContain(
      "a.proto:3:11: the string has no closing quote in its line",
    );
  });
});

describe("meaning", () => {
  const cases: Array<[what: string, source: string, error: string]> = [
    ["an unknown type", "message A {\n  B b = 1;\n}", "4:3: there is no type B"],
    ["an unknown type of a map", "message A {\n  map<string, B> b = 1;\n}", "4:3: there is no type B"],
    [
      "a float map key",
      "message A {\n\n  map<float, int32> b = 1;\n}",
      "5:3: b: a map's key is an integer, bool or string, not a floating number",
    ],
    [
      "an unknown rpc type",
      "message A {}\nservice S {\n  rpc Do(A) returns (B);\n}",
      "5:22: there is no type B",
    ],
    [
      "an enum as an rpc type",
      "enum E {\n  X = 0;\n}\nmessage A {}\nservice S {\n  rpc Do(E) returns (A);\n}",
      "8:10: E is an enum, not a message",
    ],
    ["a number twice", "message A {\n  int32 a = 1;\n  int32 b = 1;\n}", "5:13: b: a has number 1 already"],
    [
      "a number twice, in a oneof",
      "message A {\n  int32 a = 1;\n  oneof o {\n    int32 b = 1;\n  }\n}",
      "6:15: b: a has number 1 already",
    ],
    [
      "a name twice",
      "message A {\n  int32 a = 1;\n  int32 a = 2;\n}",
      "5:9: a is already declared as a field in line 4",
    ],
    ["a message twice", "message A {}\n\nmessage A {}", "5:9: A is already declared as a message in line 3"],
    [
      "a message and a service",
      "message A {}\nservice A {}",
      "4:9: A is already declared as a message in line 3",
    ],
    [
      "an enum number twice",
      "enum E {\n  X = 0;\n  Y = 0;\n}",
      "5:7: Y and X have the number 0 both; option allow_alias = true; allows that",
    ],
    [
      "an rpc twice",
      "message A {}\nservice S {\n  rpc Do(A) returns (A);\n  rpc Do(A) returns (A);\n}",
      "6:7: Do is already declared as a method in line 5",
    ],
    [
      "a reserved number",
      "message A {\n  reserved 1 to 5;\n  int32 a = 3;\n}",
      "5:13: a: number 3 is reserved",
    ],
    ["a reserved name", 'message A {\n  reserved "a";\n  int32 a = 3;\n}', "5:9: the name a is reserved"],
    ["number 0", "message A {\n  int32 a = 0;\n}", "4:13: a: field numbers begin with 1, not 0"],
    [
      "a number too big",
      "message A {\n  int32 a = 536870912;\n}",
      "4:13: a: field numbers end at 536870911, before 536870912",
    ],
    [
      "a number of protobuf's own",
      "message A {\n  int32 a = 19500;\n}",
      "4:13: a: field numbers 19000 to 19999 are kept for protobuf itself",
    ],
    [
      "required in proto3",
      "message A {\n  required int32 a = 1;\n}",
      "4:12: a: proto3 has no required fields",
    ],
    [
      "a default in proto3",
      "message A {\n  int32 a = 1 [default = 5];\n}",
      "4:26: a: proto3 has no default values but zero and empty",
    ],
    [
      "an enum that does not begin with 0",
      "enum E {\n  X = 1;\n}",
      "4:7: X: the first value of the open enum E has number 0",
    ],
    ["an enum without values", "enum E {\n}", "3:6: enum E has no values"],
    [
      "a repeated oneof field",
      "message A {\n  oneof o {\n    repeated int32 a = 1;\n  }\n}",
      "5:5: a field of a oneof has no label: leave repeated out",
    ],
    [
      "a map in a oneof",
      "message A {\n  oneof o {\n    map<string, int32> a = 1;\n  }\n}",
      "5:8: a oneof cannot have map fields",
    ],
  ];

  it.each(cases)("%s", async (_, source, error) => {
    expect(await errorOf({ "a.proto": proto3 + source })).toBe(`a.proto:${error}`);
  });

  it.each([
    [
      "an unknown value of an enum",
      "enum E {\n  X = 1;\n}\nmessage A {\n  optional E e = 1 [default = Y];\n}",
      "6:31",
    ],
    ["one of a list", "message A {\n  repeated int32 e = 1 [default = 5];\n}", "3:35"],
    ["one out of range", "message A {\n  optional int32 e = 1 [default = 4294967296];\n}", "3:35"],
    ["one of another kind", "message A {\n  optional bool e = 1 [default = 5];\n}", "3:34"],
  ])("a default: %s", async (_, text, place) => {
    expect(await errorOf({ "a.proto": `package p;\n${text}` })).toMatch(
      new RegExp(`^a\\.proto:${place}: .*e`),
    );
  });

  it.each([
    ["a package", 'syntax = "proto3";\npackage a.__proto__;\nmessage A {}\n'],
    ["a message", `${proto3}message __proto__ { message __proto__ {} }`],
    ["an enum and a value", `${proto3}enum __proto__ { ZERO = 0; __proto__v = 1; }`],
    [
      "members",
      `${proto3}message A { map<string, int32> __proto__ = 1; oneof __proto { string __proto_x = 2; } }`,
    ],
    ["a JSON name", `${proto3}message A { int32 a = 1 [json_name = "__proto__"]; }`],
    ["a service and an rpc", `${proto3}message A {} service __proto__ { rpc __proto__(A) returns (A); }`],
  ])("%s may be named __proto__", async (_, source) => {
    expect(await errorOf({ "a.proto": source })).toBe("no error");
  });
});

describe("files", () => {
  it("that are not there", async () => {
    await expect(generate([path.join(folder, "nowhere.proto")])).rejects.toThrow(
      "nowhere.proto: no such file",
    );
    await expect(generate([])).rejects.toThrow("no .proto files were given");
    await expect(generate([folder])).rejects.toThrow(
      /^.*mprpc-codegen-errors-\w+: is a folder; give its \.proto files \(.*mprpc-codegen-errors-\w+\/\*\.proto\)$/,
    );
  });

  it("imports that are not there, with where they were looked for", async () => {
    const error = await errorOf({ "a.proto": `${proto3}\nimport "b.proto";\n` });
    expect(error).toMatch(
      /^a\.proto:4:8: import "b\.proto" was not found in .*; name its folder with --import-path$/,
    );
    expect(await errorOf({ "a.proto": `${proto3}import "../b.proto";\n` })).toContain(
      'a.proto:3:8: import "../b.proto"',
    );
    expect(await errorOf({ "a.proto": `${proto3}import "google/protobuf/nothing.proto";\n` })).toContain(
      "a.proto:3",
    );
  });

  it("imports that lead out of the import paths, and so out of the output folder", async () => {
    const files = { "in/a.proto": `${proto3}import "../b.proto";\n`, "b.proto": proto3 };
    expect(await errorOf(files)).toContain('in/a.proto:3:8: import "../b.proto" was not found');
    const here = path.join(folder, String(number - 1));
    const found = await generate([path.join(here, "in/a.proto")], { importPaths: [here] });
    expect(found.map((file) => file.path)).toEqual(["b.ts", "in/a.ts"]);
    expect(found[1]?.content).toContain('import { bProto } from "../b.js";');
    expect(await errorOf({ "a.proto": `${proto3}import "${here}/b.proto";\n` })).toContain("was not found");
  });

  it("errors in an imported file name that file", async () => {
    expect(
      await errorOf({ "a.proto": `${proto3}import "b.proto";\n`, "b.proto": `${proto3}\nmessage {` }),
    ).toContain("b.proto:4:9: ");
  });

  it("that import each other", async () => {
    const files = { "a.proto": `${proto3}import "b.proto";\n`, "b.proto": `${proto3}import "a.proto";\n` };
    expect(await errorOf(files)).toBe("b.proto:3:8: files import each other: a.proto -> b.proto -> a.proto");
  });

  it("types that are not imported, or only through another file", async () => {
    const c = `${proto3}message C {}\n`;
    const a = `${proto3}import "b.proto";\nmessage A {\n  C c = 1;\n}\n`;
    expect(await errorOf({ "a.proto": a, "b.proto": `${proto3}import "c.proto";\n`, "c.proto": c })).toBe(
      "a.proto:5:3: C is declared in c.proto, which a.proto does not import",
    );
    expect(
      await errorOf({ "a.proto": a, "b.proto": `${proto3}import public "c.proto";\n`, "c.proto": c }),
    ).toBe("no error");
  });

  it("the same type in two files", async () => {
    const files = {
      "a.proto": `${proto3}import "b.proto";\nmessage A {}\n`,
      "b.proto": `${proto3}\nmessage A {}\n`,
    };
    expect(await errorOf(files)).toBe("a.proto:4:9: p.A is already declared as a message in b.proto");
  });

  it("two that would be one", async () => {
    const one = path.join(folder, "one");
    const two = path.join(folder, "two");
    for (const each of [one, two]) {
      await mkdir(each);
      await writeFile(path.join(each, "same.proto"), proto3);
    }
    await expect(
      generate([path.join(one, "same.proto"), path.join(two, "same.proto")], { importPaths: [one, two] }),
    ).rejects.toThrow("has the same name, same.proto, and would be generated to the same file");
    const files = await generate([path.join(one, "same.proto"), path.join(two, "same.proto")]);
    expect(files.map((file) => file.path)).toEqual(["one/same.ts", "two/same.ts"]);
  });

  it("a proto3 message with a closed enum", async () => {
    const files = {
      "a.proto": `${proto3}import "b.proto";\nmessage A {\n  E e = 1;\n}\n`,
      "b.proto": "package p;\nenum E {\n  X = 0;\n}\n",
    };
    expect(await errorOf(files)).toContain("a.proto:5:3: e: a proto3 message cannot use the closed enum p.E");
  });
});

it("the error carries its parts", () => {
  const error = new CodegenError("user.proto", 12, "text");
  expect(error).toMatchObject({ name: "CodegenError", file: "user.proto", line: 12, rawMessage: "text" });
  expect(error.message).toBe("user.proto:12: text");
});
