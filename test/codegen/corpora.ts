import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { generate } from "../../src/codegen/index.js";
import { type Corpus, filesOf } from "./proto/protoc.js";

const repository = fileURLToPath(new URL("../../", import.meta.url));

/** By version: the compiler of this repository, and the last one written in TypeScript, which the cloud disk's tools bring. */
export const compilers: Readonly<Record<string, string>> = {
  "7": path.join(repository, "node_modules/typescript/bin/tsc"),
  "5.9": path.join(repository, "example/clouddisk/node_modules/typescript/bin/tsc"),
};

export interface Outcome {
  readonly files: number;
  readonly megabytes: number;
  readonly generateMs: number;
  /** By compiler, what it says; empty when all is well. */
  readonly errors: Readonly<Record<string, string>>;
}

/** Every flag that a strict project may have, so that the code compiles in it. */
const strictest = {
  ...{ target: "ES2023", lib: ["ES2023", "ESNext.Disposable"], module: "NodeNext", types: ["node"] },
  ...{
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitOverride: true,
  },
  ...{ noImplicitReturns: true, noFallthroughCasesInSwitch: true, noPropertyAccessFromIndexSignature: true },
  ...{ noUnusedLocals: true, noUnusedParameters: true, isolatedModules: true, verbatimModuleSyntax: true },
  ...{ erasableSyntaxOnly: true, noEmit: true, skipLibCheck: true },
};

/** Generates a corpus into a temporary folder and compiles it. */
export async function compileCorpus(corpus: Corpus, versions: readonly string[]): Promise<Outcome> {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-corpus-"));
  try {
    const names = filesOf(corpus).map((name) => path.join(corpus.folder, name));
    const begun = performance.now();
    const importPaths = [corpus.folder, ...(corpus.importPaths ?? [])];
    const generated = await generate(names, { importPaths, outDir: path.join(folder, "src") });
    const generateMs = performance.now() - begun;
    await writeFile(path.join(folder, "package.json"), '{ "type": "module" }');
    await symlink(path.join(repository, "node_modules"), path.join(folder, "node_modules"));
    const paths = { "mprpc/codec": "src/codec.ts", "mprpc/descriptor": "src/descriptor/index.ts" };
    const compilerOptions = {
      ...strictest,
      paths: Object.fromEntries(
        Object.entries(paths).map(([name, file]) => [name, [path.join(repository, file)]]),
      ),
    };
    await writeFile(
      path.join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions, include: ["src"] }),
    );
    const errors: Record<string, string> = {};
    for (const version of versions) errors[version] = await compile(compilers[version] ?? "", folder);
    const bytes = generated.reduce((all, { content }) => all + content.length, 0);
    return { files: generated.length, megabytes: bytes / 1e6, generateMs, errors };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compile(tsc: string, folder: string): Promise<string> {
  try {
    const args = ["--max-old-space-size=12000", tsc, "-p", folder];
    await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    return "";
  } catch (error) {
    const { stdout, message } = error as { stdout?: string; message: string };
    return stdout || message;
  }
}
