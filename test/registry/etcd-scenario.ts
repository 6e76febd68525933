import { randomBytes } from "node:crypto";
import { silentLogger } from "../../src/log/logger.js";
import type { RegistryError } from "../../src/registry/errors.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { type Child, startScript } from "../tools/child.js";
import { type Etcd, EtcdServer, ttlMs } from "../tools/etcd.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { Recorder } from "../tools/wait.js";

/** Each event is awaited under the 30 s hang guard, several in a row at most. */
export const scenarioTimeout = { timeout: 180_000 };

const providerProcess = new URL("provider-process.ts", import.meta.url);
/** For what is to outlive every pause of a busy machine. */
export const steadyTtlMs = 60_000;
const own = randomBytes(6).toString("hex");
let scenarios = 0;

/** One story played on etcd, under a prefix of its own; everything it opens is closed with it. */
export class EtcdScenario {
  readonly prefix: string;
  readonly #cleanups: Array<() => Promise<unknown>> = [];
  readonly #address: string;

  private constructor(address: string) {
    scenarios += 1;
    this.prefix = `scenario-${own}-${scenarios}`;
    this.#address = address;
  }

  static async on(servers: readonly Etcd[], play: (scenario: EtcdScenario) => Promise<void>) {
    const scenario = new EtcdScenario(servers.map(({ address }) => address).join());
    try {
      await play(scenario);
    } finally {
      for (const cleanup of scenario.#cleanups.reverse()) await cleanup();
    }
  }

  /** Runs `play` on `size` members that are its alone. */
  static async alone(
    size: number,
    play: (scenario: EtcdScenario, servers: readonly EtcdServer[]) => Promise<void>,
  ): Promise<void> {
    const servers = await EtcdServer.startCluster(size);
    try {
      await EtcdScenario.on(servers, (scenario) => play(scenario, servers));
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  }

  url(address = this.#address, ownTtlMs: number = ttlMs): string {
    return `etcd://${address}/${this.prefix}?ttl=${ownTtlMs}ms`;
  }

  registry(options: OpenRegistryOptions = {}, address = this.#address, ownTtlMs: number = ttlMs): Registry {
    const registry = openRegistry(this.url(address, ownTtlMs), {
      snapshotFolder: false,
      startTimeoutMs: 60_000,
      log: silentLogger,
      ...options,
    });
    this.#cleanups.push(() => registry.close());
    return registry;
  }

  /** Every snapshot a consumer of its own sees, and its troubles. */
  follow(options: OpenRegistryOptions = {}, address = this.#address) {
    const registry = this.registry(options, address);
    const seen = new Recorder<Snapshot>();
    const troubles = new Recorder<RegistryError>();
    const watch = registry.watch("fixbug.UserServiceRpc", seen.push, troubles.push);
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

  async proxy(server: Etcd): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server.port);
    this.#cleanups.push(() => proxy.stop());
    return proxy;
  }
}
