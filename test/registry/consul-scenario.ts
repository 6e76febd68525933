import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/log/logger.js";
import type { RegistryError } from "../../src/registry/errors.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { type Child, startScript } from "../tools/child.js";
import { type Consul, ConsulServer, type ConsulSettings, ttlMs } from "../tools/consul.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { Recorder } from "../tools/wait.js";

/** Each event is awaited under the 30 s hang guard, several in a row at most. */
export const scenarioTimeout = { timeout: 180_000 };

const providerProcess = new URL("provider-process.ts", import.meta.url);
/** For what is to outlive every pause of a busy machine. */
export const steadyTtlMs = 60_000;
const own = randomBytes(6).toString("hex");
let scenarios = 0;

/** One story played on Consul, under a prefix of its own; everything it opens is closed with it. */
export class ConsulScenario {
  readonly prefix: string;
  /** Every warning of the registries it opened. */
  readonly warnings: string[] = [];
  readonly #cleanups: Array<() => Promise<unknown>> = [];
  #address: string;

  private constructor(address: string) {
    scenarios += 1;
    this.prefix = `scenario-${own}-${scenarios}`;
    this.#address = address;
  }

  static async on(servers: readonly Consul[], play: (scenario: ConsulScenario) => Promise<void>) {
    const scenario = new ConsulScenario(servers.map(({ address }) => address).join());
    try {
      await play(scenario);
    } finally {
      for (const cleanup of scenario.#cleanups.reverse()) await cleanup();
    }
  }

  /** Runs `play` on `size` servers that are its alone. */
  static async alone(
    size: number,
    play: (scenario: ConsulScenario, servers: readonly ConsulServer[]) => Promise<void>,
    settings: ConsulSettings = {},
  ): Promise<void> {
    const servers = await ConsulServer.startCluster(size, settings);
    try {
      await ConsulScenario.on(servers, (scenario) => play(scenario, servers));
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  }

  onEnd(cleanup: () => Promise<unknown>): void {
    this.#cleanups.push(cleanup);
  }

  url(address = this.#address, ownTtlMs = ttlMs): string {
    return `consul://${address}/${this.prefix}?ttl=${ownTtlMs}`;
  }

  registry(options: OpenRegistryOptions = {}, address = this.#address, ownTtlMs: number = ttlMs): Registry {
    const warn = (text: string, fields?: object) => {
      this.warnings.push(`${text} ${JSON.stringify(fields)}`);
    };
    const log = { ...silentLogger, warn };
    const registry = openRegistry(this.url(address, ownTtlMs), {
      snapshotFolder: false,
      startTimeoutMs: 60_000,
      log,
      ...options,
    });
    this.#cleanups.push(() => registry.close());
    return registry;
  }

  /** Every snapshot a consumer of its own sees, and its troubles. */
  follow(options: OpenRegistryOptions = {}, address = this.#address, service = "fixbug.UserServiceRpc") {
    const registry = this.registry(options, address);
    const seen = new Recorder<Snapshot>();
    const troubles = new Recorder<RegistryError>();
    const watch = registry.watch(service, seen.push, troubles.push);
    return { registry, seen, troubles, watch };
  }

  /** A provider that stays, however busy this machine is. */
  steady(address = this.#address): Registry {
    return this.registry({}, address, steadyTtlMs);
  }

  /** A provider in a process of its own, registered. */
  async providerProcess(port: number, ownTtlMs: number = ttlMs): Promise<Child> {
    const child = startScript(providerProcess, this.url(this.#address, ownTtlMs), String(port));
    this.#cleanups.push(() => child.kill());
    await child.line(/^registered$/);
    return child;
  }

  async proxy(server: Consul): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server.port);
    this.#cleanups.push(() => proxy.stop());
    return proxy;
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "mprpc-scenario-"));
    this.#cleanups.push(() => rm(folder, { recursive: true }));
    return folder;
  }
}
