import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A process that has not answered for so long will not. */
const answerMaxMs = 60_000;

/** What a child process sends: first that it is ready, then one answer to each request. */
export type Answer = { ok: true; value: unknown } | { ok: false; text: string };
export interface Ready {
  ready: true;
  /** What others need to know of it. */
  endpoint: string;
}

export interface ChildOptions {
  /** For messages: `provider of mprpc`. */
  name: string;
  /** Of the program, without folder and ending: one of this folder. */
  program: string;
  /** A program that is none of Node's and talks as one; instead of the one above. */
  executable?: string | undefined;
  args: readonly string[];
  /** A core of its own, by its place among those allowed; the system places it without. */
  core?: number | undefined;
}

/** The cores this process may use, as `/proc/self/status` lists them (`0-2,5`); empty where there is no such file. */
export function allowedCores(): number[] {
  let status = "";
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return [];
  }
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** `taskset -c N`; empty where that cannot be, or where there are fewer than two cores to share out. */
function corePrefix(core: number | undefined): string[] {
  const cores = allowedCores();
  const canPin = spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;
  if (core === undefined || cores.length < 2 || !canPin) return [];
  return ["taskset", "-c", String(cores[core % cores.length])];
}

let findProgram = (program: string): string => fileURLToPath(new URL(`${program}.js`, import.meta.url));

/** The file of a program of this folder, given without folder and ending: what was compiled beside this one. */
export const programFile = (program: string): string => findProgram(program);

/** For tests, which run the sources: programs are found by `find` from now on. */
export function findProgramsBy(find: (program: string) => string): void {
  findProgram = find;
}

/** One measured process, asked one thing at a time: `R` are the requests it takes, `A` the answers by their kinds. */
export class Child<R extends { kind: string }, A extends Record<R["kind"], unknown>> {
  readonly endpoint: string;
  readonly #process: ChildProcess;
  readonly #name: string;

  private constructor(process: ChildProcess, name: string, endpoint: string) {
    this.#process = process;
    this.#name = name;
    this.endpoint = endpoint;
  }

  static async start<R extends { kind: string }, A extends Record<R["kind"], unknown>>(
    options: ChildOptions,
  ): Promise<Child<R, A>> {
    const { name, program, args, core } = options;
    const { executable } = options;
    const line =
      executable === undefined ? [process.execPath, "--expose-gc", programFile(program)] : [executable];
    const [command = process.execPath, ...rest] = [...corePrefix(core), ...line, ...args];
    const child = spawn(command, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    try {
      const ready = (await nextMessage(child, name)) as Ready;
      return new Child<R, A>(child, name, ready.endpoint);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  async ask<K extends R["kind"]>(request: R & { kind: K }): Promise<A[K]> {
    const answered = nextMessage(this.#process, this.#name);
    this.#process.send(request);
    const answer = (await answered) as Answer;
    if (!answer.ok) throw new Error(`${this.#name}: ${answer.text}`);
    return answer.value as A[K];
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Kills it and resolves when it is gone, its sockets with it. */
  async killed(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.kill();
    await gone;
  }
}

function nextMessage(child: ChildProcess, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      child.off("message", onMessage).off("exit", onExit).off("error", onError);
    };
    const onMessage = (message: unknown) => {
      settle();
      resolve(message);
    };
    const onError = (error: Error) => {
      settle();
      reject(new Error(`${name}: ${error.message}`, { cause: error }));
    };
    const onExit = (code: number | null, signal: string | null) =>
      onError(new Error(`ended with ${signal ?? `exit code ${code}`}`));
    const timer = setTimeout(() => onError(new Error(`no answer within ${answerMaxMs} ms`)), answerMaxMs);
    child.on("message", onMessage).on("exit", onExit).on("error", onError);
  });
}
