import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { openRegistry } from "../../src/registry/open.js";
import type { Registry } from "../../src/registry/registry.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { ConsulServer, consulProgram } from "../tools/consul.js";
import { EtcdServer, etcdProgram } from "../tools/etcd.js";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually, timed } from "../tools/wait.js";
import { sessionTimeoutMs } from "../tools/zookeeper.js";

beforeAll(() => {
  consulProgram();
  etcdProgram();
});

const transport = tcpTransport(systemClock);
/** This machine may be busy, and what is not killed is to stay. */
const steadyOptions = "?ttl=20s&snapshots=off";

/** What of one story is open, closed in the order it was opened last. */
class World {
  readonly #open = new Set<{ close(): Promise<unknown> }>();
  calls = 0;
  readonly failures: string[] = [];
  #loading = true;
  readonly #loads: Promise<void>[] = [];

  #registry(url: string): Registry {
    return openRegistry(url, { sessionTimeoutMs, snapshotFolder: false, startTimeoutMs: 30_000 });
  }

  async provider(url: string): Promise<{ close(): Promise<unknown> }> {
    const runtime = createRuntime({ transport, registry: this.#registry(url) });
    const provider = new RpcProvider(runtime);
    const echo = (request: { text: string }) => ({ text: request.text });
    provider.notifyService(ProbeService, { echo, relay: echo, note: echo });
    await provider.start();
    return this.#opened(async () => {
      await provider.shutdown();
      await runtime.close();
    });
  }

  /** A caller that calls without end; closing it waits for its calls. */
  caller(url: string): { close(): Promise<unknown> } {
    const runtime = createRuntime({ transport, registry: this.#registry(url) });
    const channel = new RpcChannel(runtime);
    const stub = new ProbeServiceStub(channel);
    let calling = true;
    const load = (async () => {
      while (calling && this.#loading) {
        this.calls += 1;
        try {
          await stub.echo({ text: "here" }, { timeoutMs: 20_000 });
        } catch (error) {
          this.failures.push(String(error));
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    this.#loads.push(load);
    return this.#opened(async () => {
      calling = false;
      await load;
      await channel.close();
      await runtime.close();
    });
  }

  /** Resolves when so many more calls have ended, one way or the other. */
  async more(count = 100): Promise<void> {
    const goal = this.calls + count;
    await eventually("more calls", async () => this.calls >= goal);
  }

  async close(): Promise<void> {
    this.#loading = false;
    await Promise.all(this.#loads);
    for (const one of [...this.#open].reverse()) await one.close();
  }

  #opened(close: () => Promise<void>): { close(): Promise<unknown> } {
    const one = {
      close: async () => {
        this.#open.delete(one);
        await close();
      },
    };
    this.#open.add(one);
    return one;
  }
}

async function live(url: string): Promise<number> {
  const registry = openRegistry(url, { sessionTimeoutMs, snapshotFolder: false });
  try {
    return (await registry.list()).flatMap(({ endpoints }) => endpoints).length;
  } finally {
    await registry.close();
  }
}

describe.concurrent("under load", { timeout: 180_000 }, () => {
  const clusters = {
    consul: () => ConsulServer.startCluster(3),
    etcd: () => EtcdServer.startCluster(3),
  };

  test.each(Object.entries(clusters))(
    "one of three servers of %s killed, then all, then back: no call fails",
    async (scheme, startAll) => {
      const servers: ReadonlyArray<ConsulServer | EtcdServer> = await startAll();
      const url = `${scheme}://${servers.map(({ address }) => address).join()}/load${steadyOptions}`;
      const world = new World();
      try {
        await Promise.all([world.provider(url), world.provider(url), world.provider(url)]);
        for (let i = 0; i < 3; i++) world.caller(url);
        await world.more();
        const leads = await Promise.all(servers.map((server) => server.isLeader()));
        await servers[leads.indexOf(true)]?.kill();
        await world.more(300);
        await Promise.all(servers.map((server) => server.kill()));
        await world.more(300);
        await timed(`${scheme}: all back, all three providers listed`, async () => {
          await Promise.all(servers.map((server) => server.start()));
          await eventually("three", async () => (await live(url)) === 3);
        });
        await world.more();
        expect(world.failures).toEqual([]);
      } finally {
        await world.close();
        await Promise.all(servers.map((server) => server.stop()));
      }
    },
  );

  test("from ZooKeeper to both to Consul, one process after the other: no call fails", async () => {
    const [zooKeeper, consul] = await Promise.all([sharedZooKeeper(), ConsulServer.start()]);
    const wayThere = await TcpProxy.start(zooKeeper.server.port);
    const from = `zookeeper://${wayThere.address}${zooKeeper.chroot}?snapshots=off`;
    const to = `consul://${consul.address}/load${steadyOptions}`;
    const world = new World();
    try {
      const providers = [await world.provider(from), await world.provider(from)];
      const callers = [world.caller(from), world.caller(from)];
      await world.more();
      // In the middle all processes are in both, so that those before and after meet them.
      for (const url of [`${from} ${to}`, to]) {
        for (const [i, caller] of callers.entries()) {
          callers[i] = world.caller(url);
          await caller.close();
          await world.more(50);
        }
        for (const [i, provider] of providers.entries()) {
          providers[i] = await world.provider(url);
          await provider.close();
          await world.more(50);
        }
      }
      await wayThere.stop();
      await world.more();
      expect(await live(to)).toBe(2);
      expect(world.failures).toEqual([]);
    } finally {
      await world.close();
      wayThere.cut();
      await consul.stop();
    }
  });
});
