// For the whole run, in the process of the test runner: what it prints and reports, and the command lines of all processes.
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { LeakSearch, StreamSearch } from "./search.js";
import { beginRun, hasCanary, noteLook, watchedIn } from "./secrets.js";

const lookEveryMs = 1000;
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What the run prints, until it is searched. */
class Printed {
  readonly #pieces: string[] = [];

  watch(stream: NodeJS.WriteStream): () => void {
    const { write } = stream;
    const pieces = this.#pieces;
    stream.write = function (this: NodeJS.WriteStream, ...given: unknown[]): boolean {
      const [piece] = given;
      if (typeof piece === "string") pieces.push(piece);
      else if (piece instanceof Uint8Array) pieces.push(Buffer.from(piece).toString("latin1"));
      return (write as (...all: unknown[]) => boolean).apply(this, given);
    } as typeof write;
    return () => {
      stream.write = write;
    };
  }

  /** Every way a secret is written in it. */
  find(search: LeakSearch): string[] {
    const stream = new StreamSearch(search);
    const found = new Set(this.#pieces.map((piece) => stream.find(piece)));
    return [...found].filter((how) => how !== undefined);
  }
}

/** Command lines with a secret, as every user sees them in `ps`. Nothing where there is no /proc. */
export function leakingCommands(search: LeakSearch): string[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    let line: string[];
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    } catch {
      return []; // It has ended.
    }
    const at = line.findIndex((argument) => search.find(argument) !== undefined);
    const program = line.slice(0, Math.min(at, 2)).map((one) => path.basename(one));
    return at < 0 ? [] : [`argument ${at} of ${program.join(" ")} (ps shows it): a secret of the tests`];
  });
}

/** The snapshots of all tests, below `folder`. */
function* snapshots(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== "node_modules") yield* snapshots(at);
    else if (entry.name.endsWith(".snap")) yield at;
  }
}

/** Files that the reporters were told to write. */
function reportsOf(project: TestProject): string[] {
  const { outputFile } = project.vitest.config;
  if (outputFile === undefined) return [];
  return (typeof outputFile === "string" ? [outputFile] : Object.values(outputFile)).filter((file) =>
    existsSync(file),
  );
}

/** What the run has shown, as lines that name the place and not the secret. */
function leaksOf(project: TestProject, printed: Printed, search: LeakSearch): string[] {
  const leaks = printed.find(search).map((how) => `what the run has printed: a secret of the tests, ${how}`);
  for (const file of reportsOf(project)) {
    const found = search.find(readFileSync(file, "utf8"));
    if (found !== undefined) leaks.push(`${file}: a secret of the tests, ${found}`);
  }
  for (const folder of ["test", "example"]) {
    for (const file of snapshots(path.join(root, folder))) {
      if (hasCanary(readFileSync(file, "utf8"))) leaks.push(`${file}: a secret of the tests`);
    }
  }
  return leaks;
}

const key = Symbol.for("mprpc.test.run");
const holder = globalThis as { [key]?: boolean };

/** Every project of the run begins with this. The first does it for all: it is the last to end, and a leak fails the run. */
export default function setup(project: TestProject): (() => void) | undefined {
  if (holder[key]) return undefined;
  holder[key] = true;
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-run-"));
  beginRun(randomBytes(4).toString("hex"), folder);
  const printed = new Printed();
  const restore = [process.stdout, process.stderr].map((stream) => printed.watch(stream));
  const commands = new Set<string>();
  const search = new LeakSearch();
  const timer = setInterval(() => {
    for (const one of leakingCommands(search)) commands.add(one);
    noteLook(folder);
  }, lookEveryMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const one of watchedIn(folder)) search.add(one);
    rmSync(folder, { recursive: true });
    for (const one of restore) one();
    const leaks = [...commands, ...leaksOf(project, printed, search)];
    if (leaks.length === 0) return;
    process.exitCode = 1;
    throw new Error(`Secrets were seen:\n${leaks.join("\n")}`);
  };
}
