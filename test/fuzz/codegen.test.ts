import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodegenError, generate } from "../../src/codegen/index.js";
import { runGenerate } from "../../src/codegen/run.js";
import { SeededRandom } from "../../src/testing/index.js";
import { mutateBytes } from "./mutations.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const sources = [
  "test/fuzz/protos/zoo.proto",
  "test/codegen/protos/kinds.proto",
  "example/proto/user.proto",
].map(read);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-codegen-fuzz-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Generates code that parses, or refuses with a `CodegenError`; anything else is a failure of the test. */
async function outcomeOf(proto: string | Buffer, what: string): Promise<string> {
  const file = path.join(folder, "a.proto");
  await writeFile(file, proto);
  try {
    for (const { path: name, content } of await generate([file])) {
      const { errors } = parseSync(name, content);
      expect(
        errors.map(({ message }) => message),
        `${what}: ${name}`,
      ).toEqual([]);
    }
    return "generated";
  } catch (error) {
    if (!(error instanceof CodegenError)) throw new Error(`${what}: ${String(error)}`, { cause: error });
    expect(error.problems.length, what).toBeLessThanOrEqual(100);
    for (const { file, message } of error.problems) {
      expect(message.length, what).toBeLessThan(400);
      expect(file, what).toContain("a.proto");
    }
    return "refused";
  }
}

const words = [
  ..."message enum service rpc returns oneof map< repeated optional reserved extend group import option package".split(
    " ",
  ),
  ..."{ } ; = ( ) [ ] < > , . - \" ' /* // \\ 0 -1 1 19000 536870912 99999999999 0x10 1e9 nan to max".split(
    " ",
  ),
  ..."string int32 bytes double __proto__ constructor prototype hasOwnProperty await class default".split(
    " ",
  ),
];

/** Words left out, put in, moved and given twice: what is left is closer to a .proto than changed bytes are. */
function mutateWords(random: SeededRandom, source: string): string {
  const parts = source.split(/(\s+|[{}();=<>,[\]])/).filter((part) => part !== "");
  for (let i = random.integer(1, 2); i > 0; i--) {
    const at = random.integer(0, parts.length - 1);
    switch (random.integer(0, 4)) {
      case 0:
        parts.splice(at, random.integer(1, 3));
        break;
      case 1:
        parts.splice(at, 0, ` ${random.pick(words)} `);
        break;
      case 2:
        parts.splice(at, 1, random.pick(words));
        break;
      case 3:
        parts.splice(at, 0, ...parts.slice(at, at + random.integer(1, 30)));
        break;
      default:
        parts.splice(random.integer(0, parts.length - 1), 0, ...parts.splice(at, random.integer(1, 8)));
    }
    if (parts.length === 0) parts.push(";");
  }
  return parts.join("");
}

test("any change of a good .proto gives code that parses, or one clear error", async () => {
  const counts = { generated: 0, refused: 0 };
  for (let seed = 1; seed <= 200; seed++) {
    const random = SeededRandom.of(seed, "proto");
    const source = random.pick(sources);
    const proto = random.chance(0.75)
      ? mutateWords(random, source)
      : mutateBytes(random, Buffer.from(source));
    counts[(await outcomeOf(proto, `seed ${seed}`)) as keyof typeof counts]++;
  }
  expect(counts.generated).toBeGreaterThan(10);
  expect(counts.refused).toBeGreaterThan(50);
}, 120_000);

const head = 'syntax = "proto3";\npackage p;\n';
const many = (count: number, one: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => one(i)).join("");

describe("what is enormous or odd ends, and is told", () => {
  test.each<[what: string, proto: string | Buffer, outcome: string]>([
    ["messages 10,000 deep", `${head}${"message A {".repeat(10_000)}${"}".repeat(10_000)}`, "refused"],
    ["options 10,000 deep", `${head}option x = ${"{a:".repeat(10_000)}1${"}".repeat(10_000)};`, "refused"],
    ["brackets 100,000 deep", `${head}message A { int32 a = 1 ${"[".repeat(100_000)}; }`, "refused"],
    // As protoc, whose limit is 65,535.
    ["a name of a megabyte", `${head}message ${"A".repeat(1_000_000)} {}`, "refused"],
    [
      "300 messages",
      `${head}${many(300, (i) => `message M${i} { M${(i + 1) % 300} next = 1; }\n`)}`,
      "generated",
    ],
    ["2,000 fields", `${head}message A {${many(2000, (i) => `int32 f${i} = ${i + 1};\n`)}}`, "generated"],
    ["a number beyond all", `${head}message A { int32 a = 99999999999999999999; }`, "refused"],
    [
      "names of objects",
      `${head}message A { string constructor = 1; string __proto = 2; string prototype = 3; string toString = 4; }`,
      "generated",
    ],
    [
      "a comment that would end ours",
      `${head}// */ process.exit() /*\nmessage A { // */ }\n int32 a = 1; }`,
      "generated",
    ],
    ["a comment that never ends", `${head}/*${"*".repeat(1_000_000)}`, "refused"],
    ["a string that never ends", `${head}import "${"\\".repeat(100_000)}`, "refused"],
    ["NULs", `${head}message A\u0000 { }`, "refused"],
    ["BOM and CRLF", `\ufeff${head}message A {\r\n int32 a = 1;\r\n}\r\n`, "generated"],
    [
      "GBK in a comment",
      Buffer.concat([
        Buffer.from(`${head}// `),
        Buffer.from("d6d0cec4", "hex"),
        Buffer.from("\nmessage A {}\n"),
      ]),
      "generated",
    ],
    [
      "GBK in a name",
      Buffer.concat([Buffer.from(`${head}message `), Buffer.from("d6d0cec4", "hex"), Buffer.from(" {}\n")]),
      "refused",
    ],
    ["UTF-16", Buffer.from(`\ufeff${head}message A {}`, "utf16le"), "refused"],
    ["itself as an import", `${head}import "a.proto";\nmessage A {}`, "refused"],
  ])(
    "%s",
    async (what, proto, outcome) => {
      expect(await outcomeOf(proto, what)).toBe(outcome);
    },
    60_000,
  );
});

test("the command says it on stderr and ends with 1, without a stack trace", async () => {
  const file = path.join(folder, "b.proto");
  await writeFile(file, `${head}${"message A {".repeat(10_000)}`);
  const said: string[] = [];
  const io = { stdout: () => {}, stderr: (text: string) => void said.push(text) };
  expect(await runGenerate([file, "--out", path.join(folder, "out")], io)).toBe(1);
  expect(said.join("")).toContain("b.proto");
  expect(said.join("")).not.toMatch(/^\s+at /m);
});
