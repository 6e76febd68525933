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
      "a.proto:5: unexpected 'int32', expected ';'",
    ],
    ["a missing number", `${proto3}message A {\n  int32 a;\n}\n`, "a.proto:4: unexpected ';', expected '='"],
    ["a bad number", `${proto3}message A {\n  int32 a = x;\n}\n`, "a.proto:4: illegal id 'x'"],
    ["a bad name", `${proto3}message 1A {\n}\n`, "a.proto:3: illegal type name '1A'"],
    ["an unknown word", `${proto3}\nmesage A {}\n`, "a.proto:4: unexpected 'mesage'"],
    [
      "no syntax line",
      "message A {\n  int32 a = 1;\n}\n",
      `a.proto:2: unexpected 'int32'; the file has no \`syntax = "proto3";\`, and in proto2 a field begins with optional, required or repeated`,
    ],
    [
      "required in proto3",
      `${proto3}message A {\n  required int32 a = 1;\n}\n`,
      "a.proto:4: unexpected 'required'; proto3 has no required fields",
    ],
    ...[
      ["a field", "message A {\n  string b = 1;\n  string __proto__ = 2;\n}\n", 5],
      ["a map field", "message A {\n  map<string, int32> __proto__ = 2;\n}\n", 4],
      ["a oneof", "message A {\n  oneof __proto__ {\n    int32 a = 1;\n  }\n}\n", 4],
      ["an enum value", "enum E {\n  ZERO = 0;\n  __proto__ = 1;\n}\n", 5],
      ["an enum", "enum __proto__ { A = 0; }\n", 3],
      ["a message", "message __proto__ {}\n", 3],
      ["a nested message", "message A {\n  message __proto__ {}\n}\n", 4],
      ["a service", "service __proto__ {}\n", 3],
      ["an rpc", "message A {}\nservice S {\n  rpc __proto__(A) returns (A);\n}\n", 5],
    ].map(([what, source, line]): [string, string, string] => [
      `${what} named __proto__`,
      proto3 + source,
      `a.proto:${line}: __proto__: JavaScript has no place for the name __proto__; give it another (the wire carries numbers, not names, of fields)`,
    ]),
    [
      "a JSON name __proto__",
      `${proto3}message A {\n  int32 a = 1 [json_name = "__proto__"];\n}\n`,
      "a.proto:4: a: JavaScript has no place for the name __proto__; give it another (the wire carries numbers, not names, of fields)",
    ],
    [
      "a package __proto__",
      'syntax = "proto3";\npackage a.__proto__;\nmessage A {}\n',
      "a.proto:2: the package: JavaScript has no place for the name __proto__; give it another (the wire carries numbers, not names, of fields)",
    ],
    ["an open brace at the end", `${proto3}message A {\n  int32 a = 1;\n`, "a.proto:5: "],
    ["an open comment", `${proto3}/* never ends\n`, "a.proto:4: illegal comment"],
    ["an open string", `${proto3}import "x;\n`, "a.proto:3: illegal string"],
    [
      "a bad rpc",
      `${proto3}message A {}\nservice S {\n  rpc Do(A) return (A);\n}\n`,
      "a.proto:5: unexpected 'return', expected 'returns'",
    ],
    ["a bad syntax line", 'syntax = "proto4";\n', "a.proto:1: "],
    [
      "an edition",
      'edition = "2023";\nmessage A {}\n',
      'a.proto:1: editions are not supported: write syntax = "proto3"; or "proto2" in the place of edition = "2023"',
    ],
    ["nested too deeply", `${proto3}${"message A {\n".repeat(200)}${"}".repeat(200)}`, "max depth exceeded"],
  ];

  it.each(cases)("%s", async (_, source, error) => {
    expect(await errorOf({ "a.proto": source })).toContain(error);
  });
});

describe("meaning", () => {
  const cases: Array<[what: string, source: string, error: string]> = [
    ["an unknown type", "message A {\n  B b = 1;\n}", "a.proto:4: A.b: there is no type B"],
    [
      "an unknown type of a map",
      "message A {\n  map<string, B> b = 1;\n}",
      "a.proto:4: A.b: there is no type B",
    ],
    ["a float map key", "message A {\n\n  map<float, int32> b = 1;\n}", "a.proto:5: "],
    [
      "an unknown rpc type",
      "message A {}\nservice S {\n  rpc Do(A) returns (B);\n}",
      "a.proto:5: S.Do: there is no type B",
    ],
    [
      "an enum as an rpc type",
      "enum E {\n  X = 0;\n}\nmessage A {}\nservice S {\n  rpc Do(E) returns (A);\n}",
      "a.proto:8: S.Do: E is an enum, not a message",
    ],
    [
      "a service as a type",
      "message A {\n  S s = 1;\n}\nservice S {}",
      "a.proto:4: A.s: S is a service, not a message or an enum",
    ],
    [
      "a number twice",
      "message A {\n  int32 a = 1;\n  int32 b = 1;\n}",
      "a.proto:5: b: the number 1 is already used by a in line 4",
    ],
    [
      "a number twice, in a oneof",
      "message A {\n  int32 a = 1;\n  oneof o {\n    int32 b = 1;\n  }\n}",
      "a.proto:6: b: the number 1 is already used by a in line 4",
    ],
    [
      "a name twice",
      "message A {\n  int32 a = 1;\n  int32 a = 2;\n}",
      "a.proto:5: a: the name a is already used by a in line 4",
    ],
    [
      "a message twice",
      "message A {}\n\nmessage A {}",
      "a.proto:5: A: the name A is already used by A in line 3",
    ],
    [
      "a message and a service",
      "message A {}\nservice A {}",
      "a.proto:4: A: the name A is already used by A in line 3",
    ],
    [
      "an enum number twice",
      "enum E {\n  X = 0;\n  Y = 0;\n}",
      "a.proto:5: Y: the number 0 is already used by X in line 4",
    ],
    [
      "an rpc twice",
      "message A {}\nservice S {\n  rpc Do(A) returns (A);\n  rpc Do(A) returns (A);\n}",
      "a.proto:6: Do: the name Do is already used by Do in line 5",
    ],
    [
      "a reserved number",
      "message A {\n  reserved 1 to 5;\n  int32 a = 3;\n}",
      "a.proto:5: id 3 is reserved in Type A",
    ],
    [
      "a reserved name",
      'message A {\n  reserved "a";\n  int32 a = 3;\n}',
      "a.proto:5: name 'a' is reserved in Type A",
    ],
    [
      "number 0",
      "message A {\n  int32 a = 0;\n}",
      "a.proto:4: A.a: field numbers go from 1 to 536870911, not 0",
    ],
    [
      "a number too big",
      "message A {\n  int32 a = 536870912;\n}",
      "a.proto:4: A.a: field numbers go from 1 to 536870911",
    ],
    [
      "a number of protobuf's own",
      "message A {\n  int32 a = 19500;\n}",
      "a.proto:4: A.a: field numbers 19000 to 19999",
    ],
    ["required in proto3", "message A {\n  required int32 a = 1;\n}", "a.proto:4: "],
    [
      "a default in proto3",
      "message A {\n  int32 a = 1 [default = 5];\n}",
      "a.proto:4: A.a: proto3 has no [default = ...]",
    ],
    [
      "an enum that does not begin with 0",
      "enum E {\n  X = 1;\n}",
      "a.proto:4: enum E: the first value of a proto3 enum must be 0",
    ],
    ["an enum without values", "enum E {\n}", "a.proto:3: enum E has no values"],
    [
      "fields that are one in TypeScript",
      "message A {\n  int32 foo_bar = 1;\n  int32 fooBar = 2;\n}",
      "a.proto:5: A: fooBar and foo_bar are both fooBar in TypeScript",
    ],
    [
      "a field and a oneof",
      "message A {\n  int32 foo_bar = 1;\n  oneof fooBar {\n    int32 x = 2;\n  }\n}",
      "a.proto:5: A: fooBar and foo_bar are both fooBar in TypeScript",
    ],
    [
      "rpcs that are one in TypeScript",
      "message A {}\nservice S {\n  rpc Do(A) returns (A);\n  rpc do(A) returns (A);\n}",
      "a.proto:6: rpc do and rpc Do are both do in TypeScript",
    ],
    ["types that are one in TypeScript", "message A {\n  message B {}\n}\nmessage A_B {}", "A_B"],
    [
      "a stream of requests",
      "message A {}\nservice S {\n  rpc Do(stream A) returns (A);\n}",
      "a.proto:5: rpc Do: streams are not supported yet; only unary calls are",
    ],
    [
      "a stream of replies",
      "message A {}\nservice S {\n  rpc Do(A)\n    returns (stream A);\n}",
      "a.proto:5: rpc Do: streams are not supported yet",
    ],
    ["a repeated oneof field", "message A {\n  oneof o {\n    repeated int32 a = 1;\n  }\n}", "a.proto:5: "],
    ["a map in a oneof", "message A {\n  oneof o {\n    map<string, int32> a = 1;\n  }\n}", "a.proto:5: "],
  ];

  it.each(cases)("%s", async (_, source, error) => {
    expect(await errorOf({ "a.proto": proto3 + source })).toContain(error);
  });

  it("proto2: groups, extensions, bad defaults", async () => {
    const of = (text: string) => errorOf({ "a.proto": `package p;\n${text}` });
    expect(await of("message A {\n  optional group G = 1 {\n    optional int32 x = 2;\n  }\n}")).toContain(
      "a.proto:3: G: groups are not supported; use a nested message",
    );
    expect(await of("message A {\n  extensions 100 to max;\n}")).toContain(
      "a.proto:3: extension ranges are not supported",
    );
    expect(await of("message A {}\nextend A {\n  optional int32 x = 1;\n}")).toContain(
      "a.proto:3: extend A: extensions",
    );
    expect(await of("enum E {\n  X = 1;\n}\nmessage A {\n  optional E e = 1 [default = Y];\n}")).toContain(
      "a.proto:6: A.e: Y is no value of p.E",
    );
    expect(await of("message A {\n  repeated int32 e = 1 [default = 5];\n}")).toContain(
      "a.proto:3: A.e: only a single",
    );
    expect(await of("message A {\n  optional int32 e = 1 [default = 4294967296];\n}")).toContain(
      "a.proto:3: A.e: ",
    );
    expect(await of("message A {\n  optional int32 e = 1 [default = x];\n}")).toContain("a.proto:3: ");
    expect(await of("message A {\n  optional bool e = 1 [default = 5];\n}")).toContain("a.proto:3: A.e: ");
    expect(await of("message A {\n  int32 e = 1;\n}")).toContain("a.proto:3: ");
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
      /^a\.proto:4: import "b\.proto" was not found in .*; name its folder with --import-path$/,
    );
    expect(await errorOf({ "a.proto": `${proto3}import "../b.proto";\n` })).toContain(
      'a.proto:3: import "../b.proto"',
    );
    expect(await errorOf({ "a.proto": `${proto3}import "google/protobuf/nothing.proto";\n` })).toContain(
      "a.proto:3",
    );
  });

  it("imports that lead out of the import paths, and so out of the output folder", async () => {
    const files = { "in/a.proto": `${proto3}import "../b.proto";\n`, "b.proto": proto3 };
    expect(await errorOf(files)).toContain('in/a.proto:3: import "../b.proto" was not found');
    const here = path.join(folder, String(number - 1));
    const found = await generate([path.join(here, "in/a.proto")], { importPaths: [here] });
    expect(found.map((file) => file.path)).toEqual(["in/a.ts"]);
    expect(await errorOf({ "a.proto": `${proto3}import "${here}/b.proto";\n` })).toContain("was not found");
  });

  it("errors in an imported file name that file", async () => {
    expect(
      await errorOf({ "a.proto": `${proto3}import "b.proto";\n`, "b.proto": `${proto3}\nmessage {` }),
    ).toContain("b.proto:4: ");
  });

  it("that import each other", async () => {
    const files = { "a.proto": `${proto3}import "b.proto";\n`, "b.proto": `${proto3}import "a.proto";\n` };
    expect(await errorOf(files)).toBe("b.proto:3: files import each other: a.proto -> b.proto -> a.proto");
  });

  it("types that are not imported, or only through another file", async () => {
    const c = `${proto3}message C {}\n`;
    const a = `${proto3}import "b.proto";\nmessage A {\n  C c = 1;\n}\n`;
    expect(await errorOf({ "a.proto": a, "b.proto": `${proto3}import "c.proto";\n`, "c.proto": c })).toBe(
      "a.proto:5: A.c: C is declared in c.proto, which this file does not import",
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
    expect(await errorOf(files)).toMatch(/^b\.proto:4: p\.A is already declared at .*a\.proto:4$/);
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
    expect(await errorOf(files)).toBe("a.proto:5: A.e: a proto3 message cannot use the proto2 enum p.E");
  });
});

it("the error carries its parts", () => {
  const error = new CodegenError("user.proto", 12, "text");
  expect(error).toMatchObject({ name: "CodegenError", file: "user.proto", line: 12, rawMessage: "text" });
  expect(error.message).toBe("user.proto:12: text");
});
