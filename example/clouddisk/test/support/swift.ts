import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "../../../../test/tools/child.js";
import { canary } from "../../../../test/tools/leaks/secrets.js";
import { freePort } from "../../../../test/tools/zookeeper.js";
import type { Settings } from "../../src/common/settings.js";
import { findPython, type Program, runProgram, startProgram } from "./programs.js";

const script = fileURLToPath(new URL("swift-server.py", import.meta.url));
/** In the order they are started in: the proxy asks the others. */
const roles = ["object", "container", "account", "proxy"] as const;
const secretKey = canary();

/** A real OpenStack Swift that speaks S3, on free ports, its data in a temp folder. */
export class SwiftServer {
  readonly port: number;
  readonly #python: Program;
  readonly #folder: string;
  #processes: Child[] = [];

  private constructor(python: Program, folder: string, port: number) {
    this.#python = python;
    this.#folder = folder;
    this.port = port;
  }

  static async start(): Promise<SwiftServer> {
    const python = findPython();
    const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-swift-"));
    const ports: string[] = [];
    while (ports.length < 4) {
      const port = String(await freePort());
      if (!ports.includes(port)) ports.push(port);
    }
    const args = [script, "prepare", folder, ...ports];
    runProgram(python, args, secretKey);
    const server = new SwiftServer(python, folder, Number(ports[0]));
    await server.restart();
    return server;
  }

  /** Of a bucket of its own for each name. */
  settings(bucket: string): Settings["store"] {
    return { url: this.url, bucket, region: "us-east-1", accessKey: "disk:owner", secretKey };
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The keys of a conf. */
  conf(bucket: string): Record<string, string> {
    const { url, region, accessKey } = this.settings(bucket);
    const entries = { url, bucket, region, accesskey: accessKey, secretkey: secretKey };
    return Object.fromEntries(Object.entries(entries).map(([key, value]) => [`store.${key}`, value]));
  }

  /** Starts it again, on the same data and ports. */
  async restart(): Promise<void> {
    this.#processes = roles.map((role) => startProgram(this.#python, [script, "serve", this.#folder, role]));
    await Promise.all(this.#processes.map((one) => one.line(/^ready$/)));
  }

  /** Silent from now on, as a machine whose cable is out. */
  suspend(): void {
    for (const one of this.#processes) one.suspend();
  }

  resume(): void {
    for (const one of this.#processes) one.resume();
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.kill(signal)));
  }

  /** Ends it, and its data. */
  async close(): Promise<void> {
    await this.end("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}
