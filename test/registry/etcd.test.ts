import { beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { base64, etcdProgram } from "../tools/etcd.js";
import { sharedEtcd } from "../tools/shared-etcd.js";
import { eventually, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";
import { EtcdScenario, scenarioTimeout, steadyTtlMs } from "./etcd-scenario.js";

// It may have to be fetched, and this process stands still meanwhile.
beforeAll(() => void etcdProgram());

/** On the server of the whole run, which stays well. */
async function onShared(play: (scenario: EtcdScenario) => Promise<void>): Promise<void> {
  const { server } = await sharedEtcd();
  await EtcdScenario.on([server], play);
}

const stale = (snapshot: Snapshot) => snapshot.stale;
const keyOf = ({ prefix }: EtcdScenario) => `/${prefix}/fixbug.UserServiceRpc/`;

// Nearly all of their time is waiting, so they wait together.
describe.concurrent("etcd", scenarioTimeout, () => {
  test("what is registered is a key of a lease; nothing is left behind, keys of others are let be", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const folder = keyOf(scenario);
      await server.ask("kv/put", { key: base64(`${folder}notes`), value: base64("%zz") });
      const registry = scenario.registry();
      const handle = await registry.register(registration(8000));
      expect(await server.keys(folder)).toEqual([
        expect.stringMatching(new RegExp(`^${folder}127\\.0\\.0\\.1:8000@[0-9a-f]{16}$`)),
        `${folder}notes`,
      ]);
      expect((await registry.list()).map(({ endpoints }) => addresses({ endpoints, stale: false }))).toEqual([
        ["127.0.0.1:8000"],
      ]);
      await handle.unregister();
      expect(await server.keys(folder)).toEqual([`${folder}notes`]);
    }));

  test("somebody deletes the key: written again", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      const before = seen.values.length;
      const [key = ""] = await server.keys(keyOf(scenario));
      await server.ask("kv/deleterange", { key: base64(key) });
      await eventually("the key is there again", async () => (await server.keys(keyOf(scenario))).length > 0);
      await seen.until("8000 again", shows(8000));
      expect(seen.values.length).toBeGreaterThanOrEqual(before);
    }));

  test("somebody revokes the lease: registered again with another one", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      const read = async () => {
        const [key = ""] = await server.keys(keyOf(scenario));
        const { kvs = [] } = await server.ask<{ kvs?: Array<{ lease: string }> }>("kv/range", {
          key: base64(key),
        });
        return kvs[0]?.lease;
      };
      const first = await read();
      await server.ask("lease/revoke", { ID: first });
      await eventually("another lease", async () => {
        const next = await read();
        return next !== undefined && next !== first;
      });
      await seen.until("8000 again", shows(8000));
    }));

  test("a provider killed is dropped when its lease ends, and nobody else", () =>
    onShared(async (scenario) => {
      const { seen } = scenario.follow();
      await scenario.steady().register(registration(8001));
      const child = await scenario.providerProcess(8000);
      await seen.until("both", shows(8000, 8001));
      await child.kill();
      await timed("killed, dropped", () => seen.until("the other alone", shows(8001)));
      expectNoGap(seen, "127.0.0.1:8001");
    }));

  test("killed and restarted at the same address: no gap, no duplicate", () =>
    onShared(async (scenario) => {
      const { seen } = scenario.follow();
      const child = await scenario.providerProcess(8000, steadyTtlMs);
      const first = (await seen.until("8000", shows(8000))).endpoints[0]?.incarnation;
      await child.kill();
      await timed("killed and restarted", async () => {
        await scenario.providerProcess(8000, steadyTtlMs);
        await seen.until("the new one", ({ endpoints }) => endpoints[0]?.incarnation !== first);
      });
      expectNoGap(seen);
      expect(seen.last?.endpoints).toHaveLength(1);
    }));

  test("a provider frozen past its time to live is dropped, and back when it goes on", () =>
    onShared(async (scenario) => {
      const { seen } = scenario.follow();
      const child = await scenario.providerProcess(8000);
      await seen.until("8000", shows(8000));
      child.suspend();
      await seen.until("dropped", shows());
      child.resume();
      await timed("goes on, registered again", () => seen.until("8000 again", shows(8000)));
    }));

  test("a caller cut off keeps its last list, stale, and catches up", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const proxy = await scenario.proxy(server);
      const { seen, troubles } = scenario.follow({}, proxy.address);
      await scenario.steady().register(registration(8000));
      await seen.until("8000", shows(8000));
      proxy.setBlackHole(true);
      expect(addresses(await seen.until("stale", stale))).toEqual(["127.0.0.1:8000"]);
      expect((await troubles.until("a trouble", () => true)).code).toBe("unreachable");
      await scenario.steady().register(registration(8001));
      proxy.setBlackHole(false);
      await timed("healed, caught up", () => seen.until("both", shows(8000, 8001)));
      expectNoGap(seen);
    }));

  test("a provider cut off past its time to live is dropped, and registers again", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow();
      const provider = scenario.registry({}, proxy.address);
      await provider.register(registration(8000));
      await seen.until("8000", shows(8000));
      proxy.setBlackHole(true);
      await seen.until("dropped", shows());
      proxy.setBlackHole(false);
      await timed("healed, registered again", () => seen.until("8000 again", shows(8000)));
    }));

  test("a provider that is heard and hears nothing has one key when it is over", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow();
      proxy.setDeaf(true);
      const registering = scenario.registry({}, proxy.address).register(registration(8000));
      await eventually("it tries", async () => proxy.connections > 0);
      proxy.setDeaf(false);
      await registering;
      await seen.until("8000", shows(8000));
      expect(await server.keys(keyOf(scenario))).toHaveLength(1);
    }));

  test("answers cut in the middle, at many places, and slow ones in pieces", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow({}, proxy.address);
      await scenario.steady(proxy.address).register(registration(8000));
      await seen.until("8000", shows(8000));
      const ports = [8000];
      for (const atByte of [1, 12, 40, 200]) {
        proxy.cutAfter(atByte);
        const port = 8001 + ports.length;
        ports.push(port);
        await scenario.steady().register(registration(port));
        await seen.until(`cut after ${atByte} bytes`, shows(...ports));
      }
      proxy.setDelay(50);
      proxy.setPieces(16);
      await scenario.steady(proxy.address).register(registration(9000));
      await timed("slow answers", () => seen.until("9000", shows(...ports, 9000)));
      expectNoGap(seen);
    }));

  test("many services are watched on one connection", () =>
    onShared(async (scenario) => {
      const { server } = await sharedEtcd();
      const proxy = await scenario.proxy(server);
      const names = Array.from({ length: 150 }, (_, i) => `many.Service${i}`);
      const consumer = scenario.registry({}, proxy.address);
      const followed = names.map((service) => {
        const snapshots: Snapshot[] = [];
        consumer.watch(service, (snapshot) => snapshots.push(snapshot));
        return snapshots;
      });
      await eventually("all are known", async () => followed.every((snapshots) => snapshots.length > 0));
      const provider = scenario.registry();
      for (const service of [names[0], names[70], names[149]])
        await provider.register(registration(8000, { service: service ?? "" }));
      await eventually(
        "the three",
        async () => followed.filter((one) => one.at(-1)?.endpoints.length === 1).length === 3,
      );
      expect(proxy.connections).toBe(1);
    }));
});

describe.concurrent("etcd in trouble", scenarioTimeout, () => {
  test("killed and back: the list is kept, nobody is missed", () =>
    EtcdScenario.alone(1, async (scenario, [server]) => {
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      await server?.kill();
      expect(addresses(await seen.until("stale", stale))).toEqual(["127.0.0.1:8000"]);
      await server?.start();
      await timed("back", () => seen.until("8000, fresh", shows(8000)));
      await scenario.registry().register(registration(8001));
      await seen.until("one more", shows(8000, 8001));
      expectNoGap(seen);
    }));

  test("killed, wiped and back: all register again, nobody is missed", () =>
    EtcdScenario.alone(1, async (scenario, [server]) => {
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await scenario.registry().register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      await server?.kill();
      await seen.until("stale", stale);
      await server?.wipe();
      await server?.start();
      await timed("wiped, back", () => seen.until("both, fresh", shows(8000, 8001)));
      expectNoGap(seen);
    }));

  test("frozen past the time to live: the list is kept, nobody is missed", () =>
    EtcdScenario.alone(1, async (scenario, [server]) => {
      const { seen } = scenario.follow();
      const short = scenario.registry({}, undefined, 2000);
      await short.register(registration(8000));
      await seen.until("8000", shows(8000));
      server?.suspend();
      await seen.until("stale", stale);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      server?.resume();
      await timed("goes on", () => seen.until("8000, fresh", shows(8000)));
      expectNoGap(seen);
    }));

  test("the revision a caller goes on from is compacted before its watch begins: it reads again", () =>
    EtcdScenario.alone(1, async (scenario, [server]) => {
      if (server === undefined) throw new Error("no server");
      const proxy = await scenario.proxy(server);
      const reasons: string[] = [];
      const debug = (_: string, fields?: object) => void reasons.push(JSON.stringify(fields));
      const { seen } = scenario.follow({ log: { ...silentLogger, debug } }, proxy.address);
      await scenario.steady().register(registration(8000));
      await seen.until("8000", shows(8000));
      // While what was read is on its way and the watch comes back, revisions come and are compacted.
      proxy.setDelay(200);
      proxy.cut();
      await eventually("a watch of what was compacted", async () => {
        await server.ask("kv/put", { key: base64("/other"), value: base64("x") });
        await server.compact();
        return reasons.some((reason) => /compacted/.test(reason));
      });
      await scenario.steady().register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      expectNoGap(seen);
    }));

  test("the leader of three is killed, then it is back: nobody is missed", () =>
    EtcdScenario.alone(3, async (scenario, servers) => {
      const { seen } = scenario.follow();
      await scenario.steady().register(registration(8000));
      await seen.until("8000", shows(8000));
      const leads = await Promise.all(servers.map((server) => server.isLeader()));
      const leader = servers[leads.indexOf(true)];
      await leader?.kill();
      await timed("leader killed, registered", async () => {
        await scenario.steady().register(registration(8001));
        await seen.until("both", shows(8000, 8001));
      });
      await leader?.start();
      await scenario.steady().register(registration(8002));
      await seen.until("three", shows(8000, 8001, 8002));
      expectNoGap(seen);
    }));

  test("a member of three hangs: the next is used", () =>
    EtcdScenario.alone(3, async (scenario, servers) => {
      const first = { random: () => 0 };
      const { seen } = scenario.follow(first);
      await scenario.registry(first, undefined, steadyTtlMs).register(registration(8000));
      await seen.until("8000", shows(8000));
      servers[0]?.suspend();
      await scenario.registry(first, undefined, steadyTtlMs).register(registration(8001));
      await timed("one of three hangs", () => seen.until("both", shows(8000, 8001)));
      servers[0]?.resume();
      expectNoGap(seen);
    }));
});
