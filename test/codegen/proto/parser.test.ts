import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodegenError } from "../../../src/codegen/error.js";
import { compileProtos, parseProto } from "../../../src/codegen/proto/compile.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-parser-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function compile(text: string) {
  const file = path.join(folder, "a.proto");
  writeFileSync(file, text);
  return compileProtos([file]);
}

/** What is wrong, as `line:column message`. */
async function problemsOf(text: string): Promise<string[]> {
  try {
    await compile(text);
  } catch (error) {
    if (!(error instanceof CodegenError)) throw error;
    return error.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  }
  return [];
}

const list = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join("\n");

describe("errors", () => {
  test("say where, and what was expected; parsing goes on behind them", async () => {
    const text = [
      'syntax = "proto3";',
      "message A {",
      "  int32 a 1;",
      "  int32 b = x;",
      "  oneof c { repeated int32 d = 3; }",
      "}",
      "mesage B {}",
      "enum E { A = ; B = 1; }",
      "service S { rpc M(A) return (A); }",
      "}",
    ];
    expect(await problemsOf(text.join("\n"))).toEqual([
      '3:11 expected "=" and the field\'s number, not 1',
      "4:13 expected the field's number, not x",
      "5:13 a field of a oneof has no label: leave repeated out",
      "7:1 expected a declaration like message, enum, service, import or option, not mesage",
      "8:14 expected the number of the enum value, not ;",
      '9:22 expected "returns", not return',
      '10:1 this "}" has no "{"',
    ]);
  });

  test("of names, all of them", async () => {
    const text = [
      'syntax = "proto3";',
      "message A {",
      "  B b = 1;",
      "  map<int32, C.D> c = 2;",
      "  E.F f = 3;",
      "}",
      "message E {}",
      "service S { rpc M(X) returns (.Y.Z); }",
    ];
    expect(await problemsOf(text.join("\n"))).toEqual([
      "3:3 there is no type B",
      "5:3 there is no E.F: E has no F",
      "4:3 there is no type C.D",
      "8:19 there is no type X",
      "8:31 there is no type .Y.Z",
    ]);
  });

  test("of several files, those of a broken import once", async () => {
    writeFileSync(path.join(folder, "broken.proto"), 'syntax = "proto3"; message B { int32 a = 1 }');
    writeFileSync(
      path.join(folder, "user.proto"),
      'syntax = "proto3"; import "broken.proto"; message U { B b = 1; }',
    );
    writeFileSync(path.join(folder, "other.proto"), 'syntax = "proto3"; message O { X x = 1; }');
    const files = ["user.proto", "other.proto"].map((name) => path.join(folder, name));
    const error = await compileProtos(files).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CodegenError);
    expect(
      (error as CodegenError).problems.map(({ file, line, column }) => [path.basename(file), line, column]),
    ).toEqual([
      ["broken.proto", 1, 44],
      ["other.proto", 1, 32],
    ]);
  });

  test("end after 100", async () => {
    const problems = await problemsOf(
      `syntax = "proto3"; message A {\n${list(5000, (i) => `X${i} a${i} = ${i + 1};`)}\n}`,
    );
    expect(problems).toHaveLength(100);
  });

  test("of files that import each other name the circle", async () => {
    for (const [name, other] of ["xy", "yz", "zx"].map(([a, b]) => [a, b])) {
      writeFileSync(path.join(folder, `${name}.proto`), `syntax = "proto3"; import "${other}.proto";`);
    }
    await expect(compileProtos([path.join(folder, "x.proto")])).rejects.toThrow(
      /z\.proto:1:27: files import each other: x\.proto -> y\.proto -> z\.proto -> x\.proto/,
    );
  });

  test("of text that is given, not read", () => {
    expect(() => parseProto("message A {", "given.proto")).toThrow(
      'given.proto:1:12: message A has no end: "}" is missing',
    );
    expect(parseProto("message A {}", "given.proto").descriptor.messageType.map(({ name }) => name)).toEqual([
      "A",
    ]);
  });
});

test("an import that nothing uses is a warning", async () => {
  const { warnings } = await compile('syntax = "proto3";\nimport "google/protobuf/empty.proto";');
  expect(warnings.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
    '2:8 import "google/protobuf/empty.proto" is used by nothing',
  ]);
});

// Each of them once took minutes or the whole stack somewhere.
describe("large input costs what its size is", () => {
  const proto3 = 'syntax = "proto3";\n';
  test.each<[name: string, text: string]>([
    [
      "a diamond of 26 levels",
      list(26, (i) => `message L${i} { L${i + 1} a = 1; L${i + 1} b = 2; }`).concat("message L26 {}"),
    ],
    ["an enum of 10,000 values", `enum E { ${list(10_000, (i) => `V${i} = ${i};`)} }`],
    ["2,000 messages", list(2000, (i) => `message M${i} { int32 a = 1; M${(i + 1) % 2000} b = 2; }`)],
    [
      "a clique of 40 messages",
      list(40, (i) => `message M${i} { ${list(40, (j) => `M${j} f${j} = ${j + 1};`)} }`),
    ],
    [
      "a oneof of 10,000 fields",
      `message A { oneof o { ${list(10_000, (i) => `int32 f${i} = ${i + 1};`)} } }`,
    ],
    ["50,000 strings in a row", `option java_package = ${list(50_000, () => '"a"')};`],
    ["20,000 comments", `${list(20_000, () => "/**/ // x")}\nmessage A {}`],
  ])("%s", async (_name, text) => {
    const { inputs } = await compile(proto3 + text);
    expect(inputs).toHaveLength(1);
  });

  test.each<[name: string, text: string, problem: string]>([
    ["messages 60,000 deep", "message A{".repeat(60_000), "messages are nested more than 31 deep"],
    ["braces of an option", `option (a) = ${"{a".repeat(60_000)}`, "the option's value has no end"],
    ["a package of 30,000 parts", `package a${".a".repeat(30_000)};`, "at most 101 parts"],
    ["a type of 30,000 parts", `message A { a${".a".repeat(30_000)} b = 1; }`, "there is no type"],
    ["a name of 65,536 characters", `message ${"a".repeat(65_536)} {}`, "more than 65535 characters"],
    ["5,000 equal names", "message A {}".repeat(5000), "already declared"],
    ["60,000 quotes", '"'.repeat(60_000), "expected a declaration"],
    ["comments in comments", "/*".repeat(60_000), "block comments cannot hold another"],
  ])("%s", async (_name, text, problem) => {
    expect(await problemsOf(proto3 + text)).toContainEqual(expect.stringContaining(problem));
  });

  test("messages of an option's value 30,000 deep", async () => {
    const text = `import "google/protobuf/descriptor.proto";
      message A { optional A a = 1; } extend google.protobuf.FileOptions { optional A o = 50000; }
      option (o) = { ${"a {".repeat(30_000)}${"}".repeat(30_000)} };`;
    expect(await problemsOf(`syntax = "proto2";${text}`)).toEqual([
      "3:20 option (o) messages are nested more than 100 deep",
    ]);
  });
});
