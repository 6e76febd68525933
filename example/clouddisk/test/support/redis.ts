import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Child } from "../../../../test/tools/child.js";
import { freePort } from "../../../../test/tools/zookeeper.js";
import { findProgram, startProgram } from "./programs.js";

/** A real Redis on a free port, its data in a temp folder. */
export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  #process: Child | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async start(): Promise<RedisServer> {
    const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-redis-"));
    const server = new RedisServer(folder, await freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Starts it again, on the same data and port. */
  async restart(): Promise<void> {
    // Debian's redis-tools has the server too: one program, whose name says what it is.
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder];
    const program = findProgram("redis-check-rdb");
    this.#process = startProgram(program, [...args, "--appendonly", "yes", "--save", ""], "redis-server");
    await this.#process.line(/Ready to accept connections/);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal);
  }

  /** Ends it, and its data. */
  async close(): Promise<void> {
    await this.end("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}
