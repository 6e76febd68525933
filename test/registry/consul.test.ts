import { beforeAll, describe, expect, test } from "vitest";
import type { Snapshot } from "../../src/registry/registry.js";
import { consulProgram } from "../tools/consul.js";
import { sharedConsul } from "../tools/shared-consul.js";
import { eventually, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";
import { ConsulScenario, scenarioTimeout, steadyTtlMs } from "./consul-scenario.js";

// It may have to be fetched, and this process stands still meanwhile.
beforeAll(() => void consulProgram());

/** On the server of the whole run, which stays well. */
async function onShared(play: (scenario: ConsulScenario) => Promise<void>): Promise<void> {
  const { server } = await sharedConsul();
  await ConsulScenario.on([server], play);
}

const stale = (snapshot: Snapshot) => snapshot.stale;
interface AgentService {
  ID: string;
  Service: string;
  Address: string;
  Port: number;
}

// Nearly all of their time is waiting, so they wait together.
describe.concurrent("consul", scenarioTimeout, () => {
  test("what is registered is what any other program of Consul finds, and nothing is left behind", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const handle = await scenario
        .registry()
        .register(registration(8000, { attributes: { version: "2" }, weight: 7 }));
      const name = `${scenario.prefix}/fixbug.UserServiceRpc`;
      const all = await server.ask<Record<string, AgentService>>("agent/services");
      expect(Object.values(all).filter(({ Service }) => Service === name)).toMatchObject([
        {
          Address: "127.0.0.1",
          Port: 8000,
          Tags: ["mprpc"],
          Meta: { version: "2" },
          Weights: { Passing: 7 },
        },
      ]);
      await handle.unregister();
      const left = Object.values(await server.ask<Record<string, AgentService>>("agent/services"));
      expect(left.filter(({ Service }) => Service === name)).toEqual([]);
      const checks = Object.keys(await server.ask<object>("agent/checks"));
      expect(checks.filter((id) => id.startsWith(name))).toEqual([]);
    }));

  test("instances that another program registered count by their tag; others are passed over", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const { seen, registry } = scenario.follow();
      const name = `${scenario.prefix}/fixbug.UserServiceRpc`;
      const put = (port: number, more: object) => {
        const body = { ID: `${name}-${port}`, Name: name, Address: "127.0.0.1", Port: port, ...more };
        scenario.onEnd(() =>
          server.ask(`agent/service/deregister/${encodeURIComponent(body.ID)}`, { method: "PUT" }),
        );
        return server.ask("agent/service/register", { method: "PUT", body });
      };
      await put(1001, { Tags: ["http"] });
      await put(1002, { Tags: ["mprpc"], Meta: { zone: "a" } });
      await put(1003, { Tags: ["classic"], Meta: { dialect: "varint" } });
      await put(1004, { Tags: ["mprpc"], Meta: { "mprpc-entry": "%zz" } });
      await put(1005, { Tags: ["mprpc"], Address: "not a host" });
      const { endpoints } = await seen.until("the two", ({ endpoints }) => endpoints.length >= 3);
      expect(endpoints.slice(0, 2)).toEqual([
        { host: "127.0.0.1", port: 1002, protocol: "mprpc", weight: 1, attributes: { zone: "a" } },
        { host: "127.0.0.1", port: 1003, protocol: "classic", weight: 1, attributes: { dialect: "varint" } },
      ]);
      expect((await registry.list()).map(({ service }) => service)).toEqual(["fixbug.UserServiceRpc"]);
    }));

  test("an administrator deregisters it: registered again", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      const name = `${scenario.prefix}/fixbug.UserServiceRpc`;
      const all = Object.values(await server.ask<Record<string, AgentService>>("agent/services"));
      const { ID = "" } = all.find(({ Service }) => Service === name) ?? {};
      const before = seen.values.length;
      await server.ask(`agent/service/deregister/${encodeURIComponent(ID)}`, { method: "PUT" });
      await timed("deregistered by somebody, registered again", async () => {
        await eventually("it was gone", async () => seen.values.slice(before).some((one) => shows()(one)));
        await seen.until("8000 again", shows(8000));
      });
    }));

  test("a provider killed is dropped, and nobody else", () =>
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
      await timed("frozen, dropped", () => seen.until("gone", shows()));
      child.resume();
      await timed("goes on, registered again", () => seen.until("8000 again", shows(8000)));
    }));

  test("down and back: the list is kept, stale, and all register again", () =>
    ConsulScenario.alone(1, async (scenario, [server]) => {
      const { seen, troubles } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      await server?.kill();
      await seen.until("stale", stale);
      await troubles.until("the reason", ({ message }) => message.includes("ECONNREFUSED"));
      await timed("down and back", async () => {
        await server?.start();
        await seen.until("8000, fresh", shows(8000));
      });
      expectNoGap(seen);
    }));

  test("its data is wiped: all register again, and no list is empty", () =>
    ConsulScenario.alone(1, async (scenario, [server]) => {
      const { seen } = scenario.follow();
      await Promise.all([
        scenario.registry().register(registration(8000)),
        scenario.registry().register(registration(8001)),
      ]);
      await seen.until("both", shows(8000, 8001));
      await server?.kill();
      await server?.wipe();
      await timed("wiped, registered again", async () => {
        await server?.start();
        await seen.until("both, fresh", shows(8000, 8001));
      });
      expectNoGap(seen);
      expectNoGap(seen, "127.0.0.1:8001");
    }));

  test("a provider and a caller that start while it is down come together when it is there", () =>
    ConsulScenario.alone(1, async (scenario, [server]) => {
      await server?.kill();
      const { seen, troubles } = scenario.follow();
      await expect(scenario.registry({ startTimeoutMs: 300 }).register(registration(7000))).rejects.toThrow(
        /^cannot register fixbug.UserServiceRpc at consul:\/\/.* within 300 ms \(.*ECONNREFUSED.*is it running/,
      );
      const registering = scenario.registry({ startTimeoutMs: 60_000 }).register(registration(8000));
      await troubles.until("the reason", ({ code }) => code === "unreachable");
      expect(seen.values).toEqual([]);
      await server?.start();
      await registering;
      await seen.until("8000", shows(8000));
    }));

  test("a caller that starts while it is down uses the snapshot file, and corrects it", () =>
    ConsulScenario.alone(1, async (scenario, [server]) => {
      const snapshotFolder = await scenario.folder();
      const first = scenario.follow({ snapshotFolder });
      const handle = await scenario.registry().register(registration(8000));
      await first.seen.until("8000", shows(8000));
      await first.registry.close();
      await handle.unregister();
      await server?.kill();
      const second = scenario.follow({ snapshotFolder });
      const saved = await timed("snapshot file used", () => second.seen.until("the saved list", stale));
      expect(saved).toMatchObject({ stale: true, hint: true });
      expect(addresses(saved)).toEqual(["127.0.0.1:8000"]);
      await server?.start();
      await second.seen.until("corrected", shows());
    }));

  test("a consumer cut off keeps its last list, stale, and catches up", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow({}, proxy.address);
      await scenario.steady().register(registration(8000));
      await seen.until("8000", shows(8000));
      proxy.setBlackHole(true);
      await timed("cut off, stale", () => seen.until("stale", stale));
      await scenario.registry().register(registration(8001));
      proxy.setBlackHole(false);
      await timed("healed, caught up", () => seen.until("both", shows(8000, 8001)));
      expectNoGap(seen);
    }));

  test("a provider cut off is dropped, and registered again when it is healed; leaving in between ends", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow();
      await scenario.registry({}, proxy.address).register(registration(8000));
      const leaving = await scenario.registry({}, proxy.address).register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      proxy.setBlackHole(true);
      await timed("cut off, leaving ends", () => leaving.unregister());
      await timed("cut off, dropped", () => seen.until("gone", shows()));
      proxy.setBlackHole(false);
      await timed("healed, registered again", () => seen.until("8000", shows(8000)));
    }));

  test("a provider that is heard and hears nothing has one entry when it is over", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow();
      proxy.setDeaf(true);
      const registering = scenario
        .registry({ startTimeoutMs: 60_000 }, proxy.address)
        .register(registration(8000));
      await eventually("it tries again", async () => proxy.connections > 0);
      proxy.setDeaf(false);
      await registering;
      await seen.until("8000", shows(8000));
      const name = `${scenario.prefix}/fixbug.UserServiceRpc`;
      const all = Object.values(await server.ask<Record<string, AgentService>>("agent/services"));
      expect(all.filter(({ Service }) => Service === name)).toHaveLength(1);
    }));

  test("answers cut in the middle, at many places, and slow ones in pieces", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
      const proxy = await scenario.proxy(server);
      const { seen } = scenario.follow({}, proxy.address);
      await scenario.steady(proxy.address).register(registration(8000));
      await seen.until("8000", shows(8000));
      const ports = [8000];
      for (const atByte of [1, 40, 200, 700]) {
        proxy.cutAfter(atByte);
        const port = 8001 + ports.length;
        ports.push(port);
        await scenario.steady().register(registration(port));
        await seen.until(`cut after ${atByte} bytes`, shows(...ports));
      }
      proxy.setDelay(150);
      proxy.setPieces(64);
      await scenario.steady(proxy.address).register(registration(9000));
      await timed("slow answers", () => seen.until("9000", shows(...ports, 9000)));
      expectNoGap(seen);
    }));

  test("many services are watched with few connections", () =>
    onShared(async (scenario) => {
      const { server } = await sharedConsul();
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
      await timed("changes of 150 services", () =>
        eventually(
          "the three",
          async () => followed.filter((one) => one.at(-1)?.endpoints.length === 1).length === 3,
        ),
      );
      // Those that wait for a change, and the short ones beside them.
      expect(proxy.connections).toBeLessThan(200);
    }));
});
