import child_process, { ChildProcess } from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import type { Readable } from "node:stream";
import { hidden, noteFound, noteLeak, theSearch } from "./notes.js";
import { StreamSearch } from "./search.js";

const key = Symbol.for("mprpc.test.watched");
const holder = globalThis as { [key]?: boolean };

/** A log that is larger is not a test's. */
const fileMaxBytes = 16 * 1024 * 1024;

const programOf = (file: string, args: readonly string[]): string =>
  [file, ...args]
    .map((one) => path.basename(one))
    .slice(0, 3)
    .join(" ");

/** What everybody sees in `ps`. */
function noteCommand(file: string, args: readonly string[]): void {
  args.forEach(
    (arg, at) =>
      void noteLeak(`argument ${at + 1} of ${programOf(file, args.slice(0, at))} (ps shows it)`, arg),
  );
}

/** Reads along; whoever the stream is meant for gets everything, and when it asks for it. */
function readAlong(stream: Readable | null | undefined, where: string): void {
  if (stream === null || stream === undefined) return;
  const search = new StreamSearch(theSearch());
  const { push } = stream;
  stream.push = (piece: unknown, encoding?: BufferEncoding): boolean => {
    theSearch();
    if (typeof piece === "string" || piece instanceof Uint8Array) noteFound(where, search.find(piece));
    return push.call(stream, piece, encoding);
  };
}

interface Started {
  readonly file: string;
  readonly args?: readonly string[];
}

/** Everything that is started without waiting for it goes through this one: spawn, fork, exec, execFile. */
function watchChildren(): void {
  const prototype = ChildProcess.prototype as ChildProcess & { spawn(options: Started): number };
  const { spawn } = prototype;
  prototype.spawn = function (this: ChildProcess, options: Started): number {
    const { file, args = [] } = options;
    noteCommand(file, args.slice(1));
    const code = spawn.call(this, options);
    const where = hidden(programOf(file, args.slice(1)));
    readAlong(this.stdout, `stdout of ${where}`);
    readAlong(this.stderr, `stderr of ${where}`);
    return code;
  };
}

type Output = string | Uint8Array | null | undefined;

/** The result of one that was waited for, or the error that has it. */
function noteResult(where: string, result: unknown): void {
  if (typeof result === "string" || result instanceof Uint8Array) noteOutput(`stdout of ${where}`, result);
  else if (typeof result === "object" && result !== null) {
    const { stdout, stderr } = result as { stdout?: Output; stderr?: Output };
    noteOutput(`stdout of ${where}`, stdout);
    noteOutput(`stderr of ${where}`, stderr);
  }
}

function noteOutput(where: string, output: Output): void {
  if (output === null || output === undefined) return;
  noteLeak(where, typeof output === "string" ? output : Buffer.from(output).toString("latin1"));
}

function watchSyncChildren(): void {
  for (const name of ["spawnSync", "execFileSync", "execSync"] as const) {
    const real = child_process[name] as (...given: unknown[]) => unknown;
    const watching = (...given: unknown[]): unknown => {
      const [file, args] = given as [string, unknown];
      const list = Array.isArray(args) ? (args as string[]) : [];
      noteCommand(file, list);
      const where = hidden(programOf(file, list));
      try {
        const result = real(...given);
        noteResult(where, result);
        return result;
      } catch (error) {
        noteResult(where, error);
        throw error;
      }
    };
    Object.assign(child_process, { [name]: watching });
  }
}

/**
 * Files that others than their owner may read, and logs in any case, below `at`: secrets belong into files of mode 0600. What
 * packages and programs put there is not ours. Each that is being removed by somebody else, or is not ours to read, is left out.
 */
export function noteFiles(at: string): void {
  const stat = found(() => fs.lstatSync(at, { throwIfNoEntry: false }));
  if (stat?.isDirectory()) {
    if (/^(node_modules|\.git)$/.test(path.basename(at))) return;
    for (const name of found(() => fs.readdirSync(at)) ?? []) noteFiles(path.join(at, name));
  } else if (
    stat?.isFile() &&
    stat.size <= fileMaxBytes &&
    ((stat.mode & 0o044) !== 0 || at.endsWith(".log"))
  ) {
    const text = found(() => fs.readFileSync(at, "latin1"));
    if (text !== undefined) noteLeak(`${at} (mode ${(stat.mode & 0o777).toString(8)})`, text);
  }
}

/** What the file system says; undefined: an error. */
function found<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function noteRemoved(at: unknown): void {
  if (typeof at === "string") noteFiles(at);
}

/** Tests remove their folders: that is when everything has been written. */
function watchRemovals(): void {
  const { rmSync, rm } = fs;
  const { rm: rmLater } = fs.promises;
  const watching = {
    rmSync: (...given: Parameters<typeof rmSync>): void => {
      noteRemoved(given[0]);
      rmSync(...given);
    },
    rm: (...given: Parameters<typeof rm>): void => {
      noteRemoved(given[0]);
      rm(...given);
    },
  };
  Object.assign(fs, watching);
  fs.promises.rm = (...given) => {
    noteRemoved(given[0]);
    return rmLater(...given);
  };
}

/** From now on, whatever this process starts, and every folder it removes, is searched for secrets. Once is enough. */
export function watchForLeaks(): void {
  if (holder[key]) return;
  holder[key] = true;
  watchChildren();
  watchSyncChildren();
  watchRemovals();
  syncBuiltinESMExports();
}
