import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodegenError } from "../../../src/codegen/error.js";
import { compileProtos } from "../../../src/codegen/proto/compile.js";
import { FileDescriptorProto } from "../../../src/descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage } from "../../../src/protobuf/types.js";
import { accepted } from "./accepted.js";
import { helpers } from "./cases.js";
import { type Corpus, corpora, filesOf, googleapis, locationLines, packages, runProtoc } from "./protoc.js";
import { refused } from "./refused.js";

/** Descriptors in bytes, locations and comments of every file and all it imports are protoc's. */
async function expectSame({ folder, importPaths = [] }: Corpus, names: readonly string[]): Promise<number> {
  const ours = await compileProtos(
    names.map((name) => path.join(folder, name)),
    { importPaths: [folder, ...importPaths] },
  );
  const plain = runProtoc(folder, names, { importPaths });
  const full = runProtoc(folder, names, { importPaths, info: true });
  expect(plain.errors + full.errors).toBe("");
  expect(ours.files.map(({ name }) => name).sort()).toEqual([...plain.files.keys()].sort());
  for (const file of ours.files) {
    const name = file.name ?? "";
    const bytes = ours.bytesOf(file);
    if (!bytes.equals(plain.files.get(name) ?? Buffer.alloc(0))) {
      expect(decodeMessage(FileDescriptorProto, bytes), name).toEqual(
        decodeMessage(FileDescriptorProto, plain.files.get(name) ?? Buffer.alloc(0)),
      );
      expect(bytes.toString("hex"), name).toBe(plain.files.get(name)?.toString("hex"));
    }
    const expected = decodeMessage(FileDescriptorProto, full.files.get(name) ?? Buffer.alloc(0));
    const lines = locationLines(file.sourceCodeInfo?.location).join("\n");
    expect(lines, name).toBe(locationLines(expected.sourceCodeInfo?.location).join("\n"));
  }
  return ours.files.length;
}

describe("descriptors are protoc's, byte for byte", () => {
  for (const corpus of corpora) {
    test(`files of ${corpus.name}`, async () => {
      const names = filesOf(corpus);
      expect(names.length).toBeGreaterThan(0);
      expect(await expectSame(corpus, names)).toBeGreaterThanOrEqual(names.length);
    });
  }

  test("one of 100 files of googleapis", async () => {
    const names = filesOf(googleapis).filter((_name, i) => i % 100 === 0);
    expect(await expectSame(googleapis, names)).toBeGreaterThan(100);
  }, 60_000);

  test("google/protobuf when nobody gives its folder", async () => {
    const corpus = corpora[0];
    if (corpus === undefined) throw new Error("there is no corpus");
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bundled-"));
    try {
      const names = filesOf(corpus);
      const imports = names.map((name) => `import "${name.replaceAll("\\", "/")}";`);
      writeFileSync(path.join(folder, "all.proto"), `syntax = "proto3";\n${imports.join("\n")}`);
      expect(await expectSame({ name: "all", folder }, ["all.proto"])).toBe(names.length + 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the same files are refused", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), "mprpc-cases-"));
    for (const [name, text] of Object.entries(helpers)) writeFileSync(path.join(folder, name), text);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Every text in a folder of its own, so that one run of protoc cannot stop at another's error. */
  async function outcome(text: string, i: number): Promise<{ protoc: string; ours: string }> {
    const own = path.join(folder, String(i));
    mkdirSync(own, { recursive: true });
    const file = path.join(own, "case.proto");
    // Some texts are broken UTF-8: their characters are bytes.
    writeFileSync(file, text.startsWith("\xef\xbb") ? Buffer.from(text, "latin1") : text);
    const { status, files } = runProtoc(own, ["case.proto"], { importPaths: [folder] });
    const protoc = status === 0 ? (files.get("case.proto")?.toString("hex") ?? "") : "refused";
    try {
      const compiled = await compileProtos([file], { importPaths: [own, folder] });
      const [input] = compiled.inputs;
      return { protoc, ours: input === undefined ? "" : compiled.bytesOf(input).toString("hex") };
    } catch (error) {
      if (!(error instanceof CodegenError)) throw error;
      for (const problem of error.problems) expect(problem.message, text).not.toBe("");
      return { protoc, ours: "refused" };
    }
  }

  test("at least 100, and no others", async () => {
    expect(refused.length).toBeGreaterThan(100);
    for (const [i, text] of refused.entries()) {
      expect(await outcome(text, i), text).toEqual({ protoc: "refused", ours: "refused" });
    }
  }, 120_000);

  test("what is accepted gives the same descriptor", async () => {
    for (const [i, text] of accepted.entries()) {
      const { protoc, ours } = await outcome(text, 10_000 + i);
      expect(protoc, text).not.toBe("refused");
      expect(ours, text).toBe(protoc);
    }
  }, 120_000);

  test("files of packages that protoc does not take", async () => {
    const etcd = path.join(packages.etcd3, "proto");
    await expect(compileProtos([path.join(etcd, "rpc.proto")])).rejects.toThrow(
      "there is no option google.api.http",
    );
    expect(runProtoc(etcd, ["rpc.proto"]).status).toBe(1);
    const protobufjs = packages.protobufjs;
    const name = "google/protobuf/descriptor.proto";
    await expect(compileProtos([path.join(protobufjs, name)])).rejects.toThrow(
      ":495:24: expected a reserved",
    );
    expect(runProtoc(protobufjs, [name]).errors).toContain(":495:24: ");
  });
});
