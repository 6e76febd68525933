import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.js";
import { debianPackagesOf } from "./debian.js";
import { eventually } from "./wait.js";
import { freePort } from "./zookeeper.js";

/** What the tests use throughout: the shortest time a busy provider keeps. */
export const ttlMs = 3000;

let program: string | undefined;

/** Consul's program, of the last Debian that has it. */
export function consulProgram(): string {
  program ??= join(debianPackagesOf("bullseye", "consul"), "usr", "bin", "consul");
  return program;
}

interface Ports {
  http: number;
  https: number;
  server: number;
  serf: number;
}

/** A Consul agent as its users see it. */
export class Consul {
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The JSON of an answer; text that is none as it is. */
  async ask<T>(path: string, init: { method?: string; body?: unknown; token?: string } = {}): Promise<T> {
    const { method = "GET", body, token } = init;
    const response = await fetch(`http://${this.address}/v1/${path}`, {
      method,
      headers: token === undefined ? {} : { "X-Consul-Token": token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    try {
      return JSON.parse(text) as T;
    } catch {
      return text as T;
    }
  }
}

export interface ConsulSettings {
  /** More of its configuration. */
  conf?: Record<string, unknown>;
  /** Ports of it that are not the usual ones. */
  ports?: Readonly<Record<string, number>>;
  /** Files beside it, by name. */
  files?: Readonly<Record<string, string>>;
}

/** A real Consul server in a folder of its own. */
export class ConsulServer extends Consul {
  readonly folder: string;
  readonly ports: Ports;
  #child: Child | undefined;

  private constructor(folder: string, ports: Ports) {
    super(ports.http);
    this.folder = folder;
    this.ports = ports;
  }

  /** One server, serving. */
  static async start(settings: ConsulSettings = {}): Promise<ConsulServer> {
    const [server] = await ConsulServer.startCluster(1, settings);
    if (server === undefined) throw new Error("no server");
    return server;
  }

  /** `size` servers with a leader among them, all serving. */
  static async startCluster(size: number, settings: ConsulSettings = {}): Promise<ConsulServer[]> {
    for (let attempt = 1; ; attempt++) {
      const servers = await ConsulServer.#create(size, settings);
      const starts = await Promise.allSettled(servers.map((server) => server.start()));
      const failed = starts.find((start) => start.status === "rejected");
      if (failed === undefined) return servers;
      // Another test run may take a port between the look and the use.
      await Promise.all(servers.map((server) => server.stop()));
      if (attempt === 3) throw failed.reason;
    }
  }

  static async #create(
    size: number,
    { conf = {}, ports: more = {}, files = {} }: ConsulSettings,
  ): Promise<ConsulServer[]> {
    const ports: Ports[] = [];
    for (let i = 0; i < size; i++) {
      const [http, https, server, serf] = [
        await freePort(),
        await freePort(),
        await freePort(),
        await freePort(),
      ];
      ports.push({ http, https, server, serf });
    }
    return Promise.all(
      ports.map(async (own, i) => {
        const folder = await mkdtemp(join(tmpdir(), "mprpc-consul-"));
        for (const [name, text] of Object.entries(files))
          await writeFile(join(folder, name), text, { mode: 0o600 });
        const all = {
          ...{ server: true, bootstrap_expect: size, node_name: `consul-${i + 1}`, datacenter: "dc1" },
          ...{ bind_addr: "127.0.0.1", client_addr: "127.0.0.1", data_dir: join(folder, "data") },
          ports: {
            http: own.http,
            server: own.server,
            serf_lan: own.serf,
            serf_wan: -1,
            dns: -1,
            grpc: -1,
            ...more,
          },
          retry_join: ports.filter((one) => one !== own).map(({ serf }) => `127.0.0.1:${serf}`),
          ...{
            retry_interval: "200ms",
            disable_update_check: true,
            log_level: "ERR",
            leave_on_terminate: false,
          },
          performance: { raft_multiplier: 1 },
          ...conf,
        };
        await writeFile(join(folder, "conf.json"), JSON.stringify(all).replaceAll("FOLDER", folder), {
          mode: 0o600,
        });
        const server = new ConsulServer(folder, { ...own, ...more });
        await mkdir(join(folder, "data"), { recursive: true });
        return server;
      }),
    );
  }

  /** Starts it, again with the data it had, and resolves when it serves. */
  async start(): Promise<void> {
    this.launch();
    const child = this.#child as Child;
    const ended = () => child.process.exitCode !== null || child.process.signalCode !== null;
    await eventually(
      `Consul on ${this.address} serves`,
      async () => ended() || (await this.ask("status/leader")) !== "",
    );
    if (ended()) throw new Error(`Consul on ${this.address} ended: ${child.output}`);
  }

  /** Starts it without waiting until it serves. */
  launch(): void {
    const command = [consulProgram(), "agent", "-config-file", join(this.folder, "conf.json")];
    if (existsSync("/usr/bin/setpriv")) command.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL", "--");
    this.#child = new Child(command[0] ?? "", command.slice(1));
  }

  /** Whether it leads the servers. */
  async isLeader(): Promise<boolean> {
    return (await this.ask("status/leader")) === `127.0.0.1:${this.ports.server}`;
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
    await mkdir(join(this.folder, "data"));
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
