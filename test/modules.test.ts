import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ImportExtension } from "../src/codegen/emit/context.js";
import { generate } from "../src/codegen/index.js";
import { cleanEnv } from "./cli/mprpc.js";
import { installLib } from "./tools/installed-lib.js";

/** What `docs/modules.md` says of ways to load the library, done with the library as it is installed. */
const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-modules-"));
  await installLib(folder, ["@types/node", "undici-types", "tsx", "typescript"]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder below the installed library, with files. */
async function project(type: "module" | "commonjs", files: Record<string, string>): Promise<string> {
  const here = mkdtempSync(path.join(folder, "project-"));
  for (const [name, text] of Object.entries({ "package.json": JSON.stringify({ type }), ...files })) {
    await mkdir(path.dirname(path.join(here, name)), { recursive: true });
    writeFileSync(path.join(here, name), text);
  }
  return here;
}

async function generated(importExtension: ImportExtension): Promise<Record<string, string>> {
  const files = await generate([path.join(root, "example/proto/user.proto")], { importExtension });
  return Object.fromEntries(files.map(({ path: name, content }) => [`src/gen/${name}`, content]));
}

async function node(cwd: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, args, { cwd, env: cleanEnv() as NodeJS.ProcessEnv });
  expect(stderr).toBe("");
  return stdout.trim();
}

/** Before 20.19 and 22.12 Node needs a flag to `require` modules, and warns of it. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const requiresModules = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
const requireFlags = requiresModules ? [] : ["--experimental-require-module", "--no-warnings"];

const compile = (cwd: string): Promise<string> =>
  node(cwd, path.join(folder, "node_modules/typescript/bin/tsc"), "--pretty", "false");

const program = (extension: string): string => `
import { RpcChannel, RpcProvider } from "mprpc";
import { createRuntime } from "mprpc/testing";
import { UserServiceRpc, UserServiceRpcStub } from "./gen/user${extension}";

async function main(): Promise<void> {
  const runtime = createRuntime();
  const provider = new RpcProvider(runtime);
  provider.notifyService(UserServiceRpc, {
    login: ({ name }) => ({ success: name.toString() === "zhang san" }),
    register: () => ({ success: false }),
    uploadAvatar: () => ({}),
  });
  await provider.start();
  const channel = new RpcChannel(runtime);
  const { success } = await new UserServiceRpcStub(channel).login({ name: "zhang san" });
  console.log(success);
  await channel.close();
  await provider.shutdown();
  await runtime.close();
}
main();
`;

const options = {
  ...{
    module: "nodenext",
    target: "es2023",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
  },
  ...{ rootDir: "src", outDir: "dist", skipLibCheck: false },
};

describe("CommonJS", () => {
  test("require gives what import gives, the same classes", async () => {
    const here = await project("commonjs", {
      "main.js": `
        const { RpcError, Status } = require("mprpc");
        const { encodeMessage } = require("mprpc/codec");
        import("mprpc").then((imported) => {
          console.log(imported.RpcError === RpcError, Status.NOT_FOUND, typeof encodeMessage);
        });`,
    });
    expect(await node(here, ...requireFlags, "main.js")).toBe("true 5 function");
  });

  test("a program and its generated code, compiled to CommonJS, serve and call", async () => {
    const here = await project("commonjs", {
      ...(await generated(".js")),
      "src/main.ts": program(".js"),
      "tsconfig.json": JSON.stringify({ compilerOptions: options }),
    });
    await compile(here);
    expect(await node(here, ...requireFlags, "dist/main.js")).toBe("true");
  });
});

describe("TypeScript", () => {
  test("declarations and generated code compile as modules, without skipLibCheck, and run", async () => {
    const here = await project("module", {
      ...(await generated(".js")),
      "src/main.ts": program(".js"),
      "tsconfig.json": JSON.stringify({ compilerOptions: options }),
    });
    await compile(here);
    expect(await node(here, "dist/main.js")).toBe("true");
  });

  test("tsx runs a program as it stands", async () => {
    const here = await project("module", { ...(await generated(".js")), "src/main.ts": program(".js") });
    expect(await node(here, "--import", "tsx", "src/main.ts")).toBe("true");
  });

  test("--import-extension .ts: what Node's type stripping needs; the compiler holds it to that", async () => {
    const here = await project("module", {
      ...(await generated(".ts")),
      "src/main.ts": program(".ts"),
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          ...options,
          ...{ erasableSyntaxOnly: true, verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true },
        },
      }),
    });
    await compile(here);
    expect(await node(here, "dist/main.js")).toBe("true");
    expect(await node(here, "--import", "tsx", "src/main.ts")).toBe("true");
  });

  test("--import-extension none: for a bundler's resolution", async () => {
    const here = await project("module", {
      ...(await generated("none")),
      "src/main.ts": program(""),
      "tsconfig.json": JSON.stringify({
        compilerOptions: { ...options, module: "preserve", moduleResolution: "bundler", noEmit: true },
      }),
    });
    expect(await compile(here)).toBe("");
  });
});
