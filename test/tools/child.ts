import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { compiled } from "./compiled.js";
import { noteComplaint, strictNode } from "./complaints.js";
import { guarded } from "./wait.js";

const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

let armed = false;

/** Children die with the test process: at exit, and on the signals a test runner is stopped with. */
function dieTogether(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
  if (armed) return;
  armed = true;
  process.once("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      killAll();
      process.kill(process.pid, signal);
    });
  }
}

/** A process started by a test, ended by it or with it. */
export class Child {
  readonly process: ChildProcess;
  /** Everything it wrote, for messages of failing tests. */
  output = "";
  readonly #lines: string[] = [];
  #wake = () => {};

  constructor(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    options: { argv0?: string } = {},
  ) {
    const strict = { ...env, NODE_OPTIONS: `${env.NODE_OPTIONS ?? ""} ${strictNode}` };
    this.process = spawn(command, args, { env: strict, stdio: ["ignore", "pipe", "pipe"], ...options });
    dieTogether(this.process);
    for (const stream of [this.process.stdout, this.process.stderr]) {
      if (stream === null) continue;
      createInterface(stream).on("line", (line) => {
        this.output += `${line}\n`;
        noteComplaint(`${command} ${args.join(" ")}`, line);
        this.#lines.push(line);
        this.#wake();
      });
    }
    this.process.once("exit", () => this.#wake());
    this.process.once("error", (error) => {
      this.output += `${command}: ${error.message}\n`;
    });
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error(`the process did not start: ${this.output}`);
    return this.process.pid;
  }

  /** Resolves with the first line that matches, also one written before. */
  async line(pattern: RegExp): Promise<string> {
    const found = async () => {
      for (;;) {
        const line = this.#lines.find((text) => pattern.test(text));
        if (line !== undefined) return line;
        if (this.process.exitCode !== null) throw new Error(`it ended before ${pattern}: ${this.output}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    return guarded(found(), `a line ${pattern}`, () => this.output);
  }

  /** Resolves when it has ended. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, "exit");
    this.process.kill(signal);
    // A stopped process takes no signal but SIGKILL until it is continued.
    if (signal !== "SIGKILL") this.process.kill("SIGCONT");
    await guarded(exit, `process ${this.process.pid} ends on ${signal}`, () => this.output);
  }

  suspend(): void {
    this.process.kill("SIGSTOP");
  }

  resume(): void {
    this.process.kill("SIGCONT");
  }
}

/** A TypeScript program of the tests in its own Node process. */
export function startScript(file: URL, ...args: string[]): Child {
  return new Child(process.execPath, [compiled(file), ...args]);
}

/** The same from its source, compiled as it loads: for what a program shows of its own files, as stack traces do. */
export function startSource(file: URL, ...args: string[]): Child {
  return new Child(process.execPath, ["--import", "tsx", file.pathname, ...args]);
}
