import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import type { Clock } from "../../src/base/clock.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A folder of its own for one test, removed after it. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "mprpc-logger-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** The one file of a folder, line by line; what follows the last newline is `rest`. */
export function readLog(dir: string): { lines: string[]; rest: string } {
  const names = readdirSync(dir);
  if (names.length !== 1) throw new Error(`expected one file in ${dir}, found ${names.join(", ") || "none"}`);
  return splitLines(readFileSync(join(dir, names[0] as string), "utf8"));
}

export function splitLines(text: string): { lines: string[]; rest: string } {
  const lines = text.split("\n");
  const rest = lines.pop() as string;
  return { lines, rest };
}

/** The `n` of lines such as `{"msg":"line","n":7}`, in file order; lines without it are left out. */
export function numbersOf(lines: readonly string[]): number[] {
  return lines.map((line) => JSON.parse(line).n).filter((n) => n !== undefined);
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** The wall time is what the test says; timers never fire. */
export class FixedClock implements Clock {
  wallMs: number;

  constructor(wallMs: number) {
    this.wallMs = wallMs;
  }

  now(): number {
    return this.wallMs;
  }

  wallNow(): number {
    return this.wallMs;
  }

  setTimer(): { cancel(): void } {
    return { cancel() {} };
  }
}

/** Compiles `child.ts` and what it imports, as a package would hold it. Returns its folder, to be removed, and program. */
export async function compileChild(): Promise<{ dir: string; program: string }> {
  const dir = mkdtempSync(join(tmpdir(), "mprpc-logger-lib-"));
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, "package.json"), JSON.stringify({ type: "module" }));
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noEmit: false, rootDir: root, outDir: join(dir, "out") },
    files: [join(root, "test/logger/child.ts"), join(root, "src/logger/writer-worker.ts")],
    include: [],
  };
  writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(config));
  const tsc = fileURLToPath(import.meta.resolve("typescript/package.json")).replace(
    "package.json",
    "bin/tsc",
  );
  await promisify(execFile)(process.execPath, [tsc, "-p", dir]);
  return { dir, program: join(dir, "out/test/logger/child.js") };
}

/** The same program from its source, as tests and `tsx` run it. */
export const sourceChild: readonly string[] = [
  "--import",
  import.meta.resolve("tsx"),
  fileURLToPath(new URL("./child.ts", import.meta.url)),
];

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A started process whose output is gathered. Killed with the test. */
export class Running {
  readonly process: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #closed: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#closed = once(this.process, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    onTestFinished(() => void this.process.kill("SIGKILL"));
  }

  /** Waits until stdout holds `text`. */
  async saying(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the child ended without saying ${text}: ${this.stderr}`);
      }
      await Promise.race([once(this.process.stdout as NodeJS.ReadableStream, "data"), this.#closed]);
    }
  }

  async ended(): Promise<Ended> {
    const [code, signal] = await this.#closed;
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }
}
