import { beforeAll, describe, test } from "vitest";
import type { Snapshot } from "../../src/registry/registry.js";
import { type ConsulServer, consulProgram } from "../tools/consul.js";
import { eventually, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";
import { ConsulScenario, scenarioTimeout } from "./consul-scenario.js";

beforeAll(() => void consulProgram());

async function leaderOf(
  servers: readonly ConsulServer[],
): Promise<{ leader: ConsulServer; others: ConsulServer[] }> {
  for (const leader of servers)
    if (await leader.isLeader()) return { leader, others: servers.filter((one) => one !== leader) };
  throw new Error("no server leads");
}

/** Three callers and three providers, each at another server first, as chance does it elsewhere. */
async function spread(scenario: ConsulScenario, servers: readonly ConsulServer[]) {
  const orders = servers.map((_, i) => servers.map((_, j) => servers[(i + j) % 3]?.address).join());
  // The first of the list is used first.
  const random = () => 0;
  const followed = orders.map((order) => scenario.follow({ random }, order));
  await Promise.all(
    orders.map((order, i) => {
      // Incarnations must differ.
      let calls = 0;
      const first = () => (calls++ === 0 ? 0 : Math.random());
      return scenario.registry({ random: first }, order).register(registration(8000 + i));
    }),
  );
  for (const { seen } of followed) await seen.until("all three", shows(8000, 8001, 8002));
  const all = async (what: string, wanted: (snapshot: Snapshot) => boolean) => {
    for (const { seen } of followed) await seen.until(what, wanted);
  };
  return { followed, all };
}

describe.concurrent("three servers of Consul", scenarioTimeout, () => {
  test("the leader is killed and stays away: its registrations move on, nobody misses one, new ones are seen", () =>
    ConsulScenario.alone(3, async (scenario, servers) => {
      const { followed, all } = await spread(scenario, servers);
      const { leader, others } = await leaderOf(servers);
      await leader.kill();
      await timed("leader killed, a new registration seen by all", async () => {
        const left = others.map(({ address }) => address).join();
        await scenario.registry({ startTimeoutMs: 60_000 }, left).register(registration(8100));
        await all("all four", shows(8000, 8001, 8002, 8100));
      });
      await timed("the agent of one lost for good, registered at another", () =>
        eventually("three live entries", async () => {
          const name = encodeURIComponent(`${scenario.prefix}/fixbug.UserServiceRpc`);
          const rows = await (others[0] as ConsulServer).ask<Array<{ Node: { Node: string } }>>(
            `health/service/${name}?passing`,
          );
          const gone = `consul-${servers.indexOf(leader) + 1}`;
          return rows.filter(({ Node }) => Node.Node !== gone).length === 4;
        }),
      );
      for (const { seen } of followed)
        for (const port of [8000, 8001, 8002]) expectNoGap(seen, `127.0.0.1:${port}`);
    }));

  test("a server freezes: its callers and providers move on; it goes on, and nothing is there twice", () =>
    ConsulScenario.alone(3, async (scenario, servers) => {
      const { followed, all } = await spread(scenario, servers);
      const { others } = await leaderOf(servers);
      const [frozen, other] = others as [ConsulServer, ConsulServer];
      frozen.suspend();
      await timed("a follower frozen, a new registration seen by all", async () => {
        await scenario.registry({}, other.address).register(registration(8100));
        await all("all four", shows(8000, 8001, 8002, 8100));
      });
      frozen.resume();
      await scenario.registry({}, other.address).register(registration(8101));
      await all("all five", shows(8000, 8001, 8002, 8100, 8101));
      for (const { seen } of followed)
        for (const port of [8000, 8001, 8002]) expectNoGap(seen, `127.0.0.1:${port}`);
    }));

  test("all three killed, then back: the list is kept, stale, and all register again", () =>
    ConsulScenario.alone(3, async (scenario, servers) => {
      const { followed, all } = await spread(scenario, servers);
      await Promise.all(servers.map((server) => server.kill()));
      await all("stale", ({ stale }) => stale);
      await timed("all three back, all registered", async () => {
        await Promise.all(servers.map((server) => server.start()));
        await all("all three", shows(8000, 8001, 8002));
      });
      for (const { seen } of followed) {
        for (const port of [8000, 8001, 8002]) expectNoGap(seen, `127.0.0.1:${port}`);
      }
    }));

  test("the majority is lost: the list is kept, stale; one is back: nobody was missed, a new one is seen", () =>
    ConsulScenario.alone(3, async (scenario, servers) => {
      const { followed, all } = await spread(scenario, servers);
      const [first, second] = servers as [ConsulServer, ConsulServer];
      await Promise.all([first.kill(), second.kill()]);
      await all("stale", ({ stale }) => stale);
      await timed("the majority back, a new registration seen by all", async () => {
        await first.start();
        const registry = scenario.registry({ startTimeoutMs: 60_000 }, first.address);
        await registry.register(registration(8100));
        await all("the new one", (snapshot) => addresses(snapshot).includes("127.0.0.1:8100"));
      });
      for (const { seen } of followed) {
        for (const port of [8000, 8001, 8002]) expectNoGap(seen, `127.0.0.1:${port}`);
      }
    }));
});
