import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.js";
import { debianPackages } from "./debian.js";
import { eventually } from "./wait.js";
import { freePort } from "./zookeeper.js";

/** What the tests use throughout: a time that etcd takes and that a busy provider keeps. */
export const ttlMs = 3000;

let root: string | undefined;

export function etcdProgram(): string {
  root ??= debianPackages("etcd-server");
  return join(root, "usr", "bin", "etcd");
}

/** A member of etcd as its users see it. */
export class Etcd {
  readonly port: number;
  readonly scheme: "http" | "https";

  constructor(port: number, scheme: "http" | "https" = "http") {
    this.port = port;
    this.scheme = scheme;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Its JSON gateway, such as `kv/range`: another client than the one that is tested. */
  async ask<T>(path: string, body: object = {}, token?: string): Promise<T> {
    const response = await fetch(`http://${this.address}/v3/${path}`, {
      method: "POST",
      headers: token === undefined ? {} : { Authorization: token },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** The keys that begin with `prefix`. */
  async keys(prefix: string): Promise<string[]> {
    const end = Buffer.from(prefix);
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    const range = { key: base64(prefix), range_end: end.toString("base64"), keys_only: true };
    const { kvs = [] } = await this.ask<{ kvs?: Array<{ key: string }> }>("kv/range", range);
    return kvs.map(({ key }) => Buffer.from(key, "base64").toString());
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** A real member in a folder of its own. */
export class EtcdServer extends Etcd {
  readonly folder: string;
  readonly #args: readonly string[];
  #child: Child | undefined;

  private constructor(port: number, folder: string, args: readonly string[]) {
    super(port, args.some((arg) => arg.startsWith("--cert-file")) ? "https" : "http");
    this.folder = folder;
    this.#args = args;
  }

  /** One member, serving. `more`: arguments of its own. */
  static async start(more: readonly string[] = []): Promise<EtcdServer> {
    const [server] = await EtcdServer.startCluster(1, more);
    if (server === undefined) throw new Error("no server");
    return server;
  }

  /** `size` members with a leader among them, all serving. */
  static async startCluster(size: number, more: readonly string[] = []): Promise<EtcdServer[]> {
    for (let attempt = 1; ; attempt++) {
      const servers = await EtcdServer.#create(size, more);
      const starts = await Promise.allSettled(servers.map((server) => server.start()));
      const failed = starts.find((start) => start.status === "rejected");
      if (failed === undefined) return servers;
      // Another test run may take a port between the look and the use.
      await Promise.all(servers.map((server) => server.stop()));
      if (attempt === 3) throw failed.reason;
    }
  }

  static async #create(size: number, more: readonly string[]): Promise<EtcdServer[]> {
    const scheme = more.some((arg) => arg.startsWith("--cert-file")) ? "https" : "http";
    const ports: Array<{ client: number; peer: number }> = [];
    for (let i = 0; i < size; i++) ports.push({ client: await freePort(), peer: await freePort() });
    const members = ports.map(({ peer }, i) => `m${i + 1}=http://127.0.0.1:${peer}`);
    return Promise.all(
      ports.map(async ({ client, peer }, i) => {
        const folder = await mkdtemp(join(tmpdir(), "mprpc-etcd-"));
        const url = `${scheme}://127.0.0.1:${client}`;
        return new EtcdServer(client, folder, [
          ...["--name", `m${i + 1}`, "--data-dir", join(folder, "data"), "--unsafe-no-fsync"],
          ...["--listen-client-urls", url, "--advertise-client-urls", url],
          ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
          ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
          ...["--initial-cluster", members.join(), "--logger", "zap", "--log-level", "error"],
          ...more,
        ]);
      }),
    );
  }

  /** Starts it, again with the data it had, and resolves when it serves. */
  async start(): Promise<void> {
    this.launch();
    const child = this.#child as Child;
    const ended = () => child.process.exitCode !== null || child.process.signalCode !== null;
    await eventually(`etcd on ${this.address} serves`, async () => ended() || (await this.#serves()));
    if (ended()) throw new Error(`etcd on ${this.address} ended: ${child.output}`);
  }

  async #serves(): Promise<boolean> {
    // Its gateway refuses our plain HTTP with TLS on; then the tests await what they need.
    if (this.scheme === "https") return true;
    return (await this.ask<{ leader?: string }>("maintenance/status")).leader !== undefined;
  }

  /** Starts it without waiting until it serves. */
  launch(): void {
    const command = [etcdProgram(), ...this.#args];
    if (existsSync("/usr/bin/setpriv")) command.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL", "--");
    this.#child = new Child(command[0] ?? "", command.slice(1));
  }

  async isLeader(): Promise<boolean> {
    const { header, leader } = await this.ask<{ header: { member_id: string }; leader?: string }>(
      "maintenance/status",
    );
    return header.member_id === leader;
  }

  /** Forgets what was before the revision it has now. */
  async compact(): Promise<void> {
    const { header } = await this.ask<{ header: { revision: string } }>("maintenance/status");
    await this.ask("kv/compaction", { revision: header.revision, physical: true });
  }

  /** Ends it at once; the data stays. */
  async kill(): Promise<void> {
    await this.#child?.kill("SIGKILL");
  }

  /** Freezes it: its connections stay open and nothing answers. */
  suspend(): void {
    this.#child?.suspend();
  }

  resume(): void {
    this.#child?.resume();
  }

  /** Throws its data away; only while it is not running. */
  async wipe(): Promise<void> {
    await rm(join(this.folder, "data"), { recursive: true });
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
