import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";

/** A free port of this machine. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Where a program is; an error that names the Debian package when it is nowhere. */
export function findProgram(name: string, debianPackage: string): string {
  const found = ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
    .map((folder) => `${folder}/${name}`)
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${name} is missing: apt-get install ${debianPackage}`);
  return found;
}

/** A server in a process of its own; ends by signal, and never outlives the tests. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = "";
  #onOutput: (() => void) | undefined;

  constructor(program: string, args: readonly string[], options: { argv0?: string } = {}) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
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

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await this.#exited;
  }
}

/** Runs a program to its end with this input; throws what it said when it fails. */
export function runProgram(program: string, args: readonly string[], input: string): void {
  const { status, stderr, stdout } = spawnSync(program, args, {
    input,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${program} failed (${status}):\n${stdout}${stderr}`);
}
