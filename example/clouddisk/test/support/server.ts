import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { Program } from "./programs.js";

/** A server in a process of its own; ends by signal, and never outlives the tests. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = "";
  #onOutput: (() => void) | undefined;

  constructor({ file, env }: Program, args: readonly string[], options: { argv0?: string } = {}) {
    this.#child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"], ...options });
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#exited = once(this.#child, "exit");
    process.once("exit", () => this.#child.kill("SIGKILL"));
  }

  #take(chunk: Buffer): void {
    this.#output = (this.#output + chunk.toString()).slice(-100_000);
    this.#onOutput?.();
  }

  /** Resolves once it has said this; rejects with what it said when it ends before. */
  said(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!this.#output.includes(text)) return;
        this.#onOutput = undefined;
        resolve();
      };
      this.#onOutput = look;
      look();
      void this.#exited.then(() => reject(new Error(`${this.#child.spawnfile} ended:\n${this.#output}`)));
    });
  }

  /** Stops and goes on: silent in between, as a machine whose cable is out. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await this.#exited;
  }
}

/** Runs a program to its end with this input; throws what it said when it fails. */
export function runProgram({ file, env }: Program, args: readonly string[], input = ""): void {
  const { status, stderr, stdout } = spawnSync(file, args, {
    input,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${file} failed (${status}):\n${stdout}${stderr}`);
}
