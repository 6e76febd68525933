import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharedLib } from "./tools/shared-lib.js";

/**
 * What the README tells a newcomer to do, done: its files are written, its commands run, in an empty folder, against
 * the packed library. `<!-- file: F -->`, `<!-- run -->`, `<!-- run: TEXT -->` (what it must print) and
 * `<!-- background -->` mark the blocks.
 */
interface Block {
  kind: "file" | "run" | "background";
  argument: string;
  text: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));

function blocksOf(markdown: string): Block[] {
  const pattern = /<!-- (file|run|background)(?:: (.*?))? -->\n```\w+\n([\s\S]*?)```/g;
  return [...markdown.matchAll(pattern)].map(([, kind, argument, text]) => ({
    kind: kind as Block["kind"],
    argument: argument ?? "",
    text: text ?? "",
  }));
}

/** Names that the README's smaller examples take as given. */
const prelude = `
import { type CallOptions, type ClientInterceptor, type IncomingStream, type MessageSource } from "mprpc";
import { type MprpcApplication, RpcChannel, RpcError, type RpcProvider, Status } from "mprpc";
import { UserServiceRpc, type UserServiceRpcStub } from "./gen/user.js";
declare const app: MprpcApplication;
declare const provider: RpcProvider;
declare const user: UserServiceRpcStub;
declare const request: { name: string; pwd: string };
declare const friends: { getFriendsList(request: { userid: number }): Promise<{ friends: string[] }> };
declare const histogram: { observe(method: string, code: number, elapsedMs: number): void };
declare function retryLater(): void;
type Folder = { folder: bigint };
type Change = { name: string };
declare const signal: AbortSignal;
declare const files: {
  watch(request: Folder, options: CallOptions): IncomingStream<Change>;
  put(chunks: MessageSource<{ data: Buffer }>): Promise<{ size: bigint }>;
  convert(chunks: MessageSource<{ data: Buffer }>): IncomingStream<{ data: Buffer }>;
};
declare function chunks(): AsyncGenerator<{ data: Buffer }>;
declare function show(what: object): void;
declare function changesOf(folder: Folder): Promise<Change[]>;
declare function newTraceParent(): string;
`;

/** The examples in TypeScript that are no files: each in a function of its own, as a program the compiler accepts. */
function snippetsOf(markdown: string): string {
  const unmarked = markdown.replace(/<!-- .*? -->\n```[\s\S]*?```/g, "");
  const snippets = [...unmarked.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text as string);
  return prelude + snippets.map((text, i) => `export async function snippet${i}() {\n${text}}\n`).join("");
}

let packFolder: string;
let tarball: string;

/** The archive that would be published, made in a copy, of the library built in this run. */
beforeAll(async () => {
  packFolder = mkdtempSync(path.join(tmpdir(), "mprpc-pack-"));
  const { files } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { files: string[] };
  for (const name of [...files, "package.json", "README.md", "LICENSE"]) {
    // Those with a "!" are left out of what was named before.
    if (name !== "lib" && !name.startsWith("!"))
      cpSync(path.join(root, name), path.join(packFolder, name), { recursive: true });
  }
  cpSync(await sharedLib(), path.join(packFolder, "lib"), { recursive: true });
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts"], { cwd: packFolder, stdio: "pipe" });
  tarball = path.join(packFolder, readdirSync(packFolder).find((name) => name.endsWith(".tgz")) as string);
}, 120_000);

afterAll(() => rmSync(packFolder, { recursive: true, force: true }));

/** Resolves when the provider has said that it listens. */
function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const onText = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes("listening on")) resolve();
    };
    child.stdout?.on("data", onText);
    child.stderr?.on("data", onText);
    child.once("exit", (code) => reject(new Error(`the callee ended with ${code}: ${output}`)));
  });
}

describe.each(["README.md", "README.zh-CN.md"])("%s", (name) => {
  const markdown = readFileSync(path.join(root, name), "utf8");
  const blocks = blocksOf(markdown);

  it("does what it says, from an empty folder to an answered call", { timeout: 240_000 }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-readme-"));
    const env = { ...process.env, MPRPC_REGISTRY: `file:${path.join(folder, "registry")}` };
    const background: ChildProcess[] = [];
    try {
      expect(blocks.map(({ kind }) => kind)).toEqual([
        "file",
        "file",
        "file",
        "run",
        "background",
        "run",
        "run",
      ]);
      for (const { kind, argument, text } of blocks) {
        if (kind === "file") {
          const file = path.join(folder, argument);
          mkdirSync(path.dirname(file), { recursive: true });
          writeFileSync(file, text);
        } else if (kind === "background") {
          const [command, ...args] = text.trim().split(" ");
          const child = spawn(command as string, args, {
            cwd: folder,
            env,
            stdio: ["ignore", "pipe", "pipe"],
          });
          background.push(child);
          await listening(child);
        } else {
          // The library is not published yet: the packed one is installed in its place.
          const script = text.replace("npm install mprpc", `npm install ${tarball}`);
          const output = execFileSync("bash", ["-euo", "pipefail", "-c", script], {
            cwd: folder,
            env,
            stdio: "pipe",
          });
          expect(output.toString()).toContain(argument);
        }
      }
      writeFileSync(path.join(folder, "src/snippets.ts"), snippetsOf(markdown));
      execFileSync("npx", ["tsc"], { cwd: folder, stdio: "pipe" });
    } finally {
      await Promise.all(
        background.map((child) => {
          const ended = new Promise((resolve) => child.once("exit", resolve));
          return child.kill("SIGTERM") ? ended : undefined;
        }),
      );
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("links only to files that are there", () => {
    const links = [...markdown.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(
      ([, target]) => target as string,
    );
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(() => readFileSync(path.join(root, link)), link).not.toThrow();
  });
});

describe("README.zh-CN.md beside README.md", () => {
  const [english, chinese] = ["README.md", "README.zh-CN.md"].map((name) =>
    readFileSync(path.join(root, name), "utf8"),
  ) as [string, string];

  /** Code without its comments, which are translated. */
  const codeOf = (markdown: string): string[] =>
    [...markdown.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(
      ([, language, text = ""]) => `${language}: ${text.replace(/ *(?:\/\/|# ).*$/gm, "")}`,
    );

  it("shows the same code", () => {
    expect(codeOf(chinese)).toEqual(codeOf(english));
  });

  it("has the same figures in its table of speeds", () => {
    const figures = (markdown: string) => [...markdown.matchAll(/\d+,\d{3}/g)].map(([number]) => number);
    expect(figures(english).length).toBeGreaterThan(10);
    expect(figures(chinese)).toEqual(figures(english));
  });

  it("links to the same documents, or to their Chinese versions", () => {
    const linksOf = (markdown: string) =>
      new Set(
        Array.from(markdown.matchAll(/\]\(([^)#]+)[^)]*\)/g), ([, target = ""]) =>
          target.replace(".zh-CN.md", ".md"),
        ),
      );
    expect(linksOf(chinese)).toEqual(linksOf(english));
  });
});
