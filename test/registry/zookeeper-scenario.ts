import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../src/base/address.js";
import { fillDeps } from "../../src/registry/deps.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { connectZooKeeper } from "../../src/registry/zookeeper/client.js";
import { ZooKeeperSession } from "../../src/registry/zookeeper/session.js";
import { type Child, startScript } from "../tools/child.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { guarded, Recorder } from "../tools/wait.js";
import { sessionTimeoutMs, ZooKeeperServer } from "../tools/zookeeper.js";

/** Each event is awaited under the 30 s hang guard, several in a row at most. */
export const scenarioTimeout = { timeout: 120_000 };

const providerProcess = new URL("provider-process.ts", import.meta.url);
/** Scenarios of other test files are on the same server. */
const own = randomBytes(6).toString("hex");
let scenarios = 0;

/** One story played on a server, in a chroot of its own; everything it opens is closed with it. */
export class Scenario {
  readonly chroot: string;
  readonly #cleanups: Array<() => Promise<unknown>> = [];
  #address: string;

  private constructor(address: string) {
    scenarios += 1;
    this.chroot = `/scenario-${own}-${scenarios}`;
    this.#address = address;
  }

  /** Runs `play` on the servers at `address` (`host:port,...`). */
  static async on(address: string, play: (scenario: Scenario) => Promise<void>): Promise<void> {
    const scenario = new Scenario(address);
    try {
      await play(scenario);
    } finally {
      for (const cleanup of scenario.#cleanups.reverse()) await cleanup();
    }
  }

  /** Runs `play` on a server that is its alone. */
  static async alone(play: (scenario: Scenario, server: ZooKeeperServer) => Promise<void>): Promise<void> {
    const server = await ZooKeeperServer.start();
    try {
      await Scenario.on(server.address, (scenario) => play(scenario, server));
    } finally {
      await server.stop();
    }
  }

  /** Runs `cleanup` when the story is over, before what was opened earlier is closed. */
  onEnd(cleanup: () => Promise<unknown>): void {
    this.#cleanups.push(cleanup);
  }

  url(address = this.#address): string {
    return `zookeeper://${address}${this.chroot}`;
  }

  registry(options: OpenRegistryOptions = {}, address = this.#address): Registry {
    const registry = openRegistry(this.url(address), { sessionTimeoutMs, snapshotFolder: false, ...options });
    this.#cleanups.push(() => registry.close());
    return registry;
  }

  /** Every snapshot a consumer of its own sees. */
  follow(options: OpenRegistryOptions = {}, address = this.#address, service = "fixbug.UserServiceRpc") {
    const registry = this.registry(options, address);
    const seen = new Recorder<Snapshot>();
    const watch = registry.watch(service, seen.push);
    return { registry, seen, watch };
  }

  /** A bare session beside the registry: an administrator, or the C++ framework. */
  async session(auth?: string): Promise<ZooKeeperSession> {
    const session = new ZooKeeperSession({
      servers: this.#address.split(",").map((text) => {
        const server = parseAddress(text);
        if (server === undefined) throw new Error(text);
        return server;
      }),
      ...{ chroot: this.chroot, sessionTimeoutMs, auth, connect: connectZooKeeper, deps: fillDeps({}) },
    });
    const opened = new Promise<void>((resolve) => session.on("session", () => resolve()));
    session.start();
    await guarded(opened, "a session");
    this.#cleanups.push(() => session.close());
    if ((await session.exists("/")) === undefined) await session.createChroot();
    return session;
  }

  /** A provider in a process of its own, registered. */
  async providerProcess(port: number, sessionMs = sessionTimeoutMs): Promise<Child> {
    const child = startScript(
      providerProcess,
      `${this.url()}?session=${sessionMs}&snapshots=off`,
      String(port),
    );
    this.#cleanups.push(() => child.kill());
    await child.line(/^registered$/);
    return child;
  }

  async proxy(port: number): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(port);
    this.#cleanups.push(() => proxy.stop());
    return proxy;
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "mprpc-scenario-"));
    this.#cleanups.push(() => rm(folder, { recursive: true }));
    return folder;
  }
}

/** What a C++ provider does: the znodes that are not there yet, as it writes them. */
export async function registerClassic(
  session: ZooKeeperSession,
  service: string,
  methods: readonly string[],
  data: string,
): Promise<void> {
  if ((await session.exists(`/${service}`)) === undefined)
    await session.create(`/${service}`, { access: "open" });
  for (const method of methods) {
    const path = `/${service}/${method}`;
    if ((await session.exists(path)) !== undefined) continue;
    await session.create(path, { data: Buffer.from(data), access: "open", ephemeral: true });
  }
}

/** The text of a znode as a C++ caller reads it: up to the first NUL; `undefined` when it is not there. */
export async function readText(session: ZooKeeperSession, path: string): Promise<string | undefined> {
  if ((await session.exists(path)) === undefined) return undefined;
  const { data } = await session.getData(path);
  return data.toString().split("\0")[0];
}
