import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { LossyProxy } from "../tools/lossy-proxy.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { ZooKeeperServer } from "../tools/zookeeper.js";
import { registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const service = "fixbug.UserServiceRpc";
const providers = `/mprpc/${service}/providers`;
const election = `/mprpc/${service}/classic`;
const loginPath = "/UserServiceRpc/Login";

let server: ZooKeeperServer;
beforeAll(async () => {
  server = await ZooKeeperServer.start();
});
afterAll(() => server.stop());

/** A scenario on the shared server. */
function play(name: string, story: (scenario: Scenario) => Promise<void>): void {
  test.concurrent(name, scenarioTimeout, () => Scenario.on(server.address, story));
}

describe("a session that is replaced", () => {
  play("while the server still holds the old one: the entry moves in one step", async (scenario) => {
    let skewMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + skewMs };
    let replaced = false;
    const unheard = new Set<string>();
    const lossy = await LossyProxy.start(server.port, (_, operation) => {
      if (!replaced || unheard.has(operation)) return false;
      unheard.add(operation);
      return true;
    });
    try {
      const proxy = await scenario.proxy(lossy.port);
      const { seen } = scenario.follow();
      // The longest session the server grants, so that the old one lives to the end; and the longest waits to reconnect.
      const patient = { clock, sessionTimeoutMs: 10_000, random: () => 0.99 };
      const provider = scenario.registry(patient, proxy.address);
      await provider.register(registration(8000));
      await seen.until("8000", shows(8000));
      const admin = await scenario.session();
      const [name = ""] = await admin.children(providers);
      const before = await admin.exists(`${providers}/${name}`);
      const own = new Recorder<Snapshot>();
      provider.watch(service, (snapshot) => {
        own.push(snapshot);
        // Cut off for longer than it holds on to its session, as its own clock has it.
        if (snapshot.stale && !replaced) skewMs += 20_001;
        replaced ||= snapshot.stale;
      });
      await own.until("8000", shows(8000));
      proxy.cut();
      await timed("session replaced, each of its first writes unheard", () =>
        eventually("a new owner", async () => {
          const stat = await admin.exists(`${providers}/${name}`);
          const classic = await admin.exists(loginPath);
          const moved = stat !== undefined && stat.ephemeralOwner !== before?.ephemeralOwner;
          return moved && classic?.ephemeralOwner === stat.ephemeralOwner;
        }),
      );
      await eventually("one candidate", async () => (await admin.children(election)).length === 1);
      expect(unheard).toContain("multi");
      // Its consumers saw nothing of it: no gap, nor a C++ provider where only the classic znodes were left.
      expect(seen.values.slice(seen.values.findIndex(shows(8000)))).toHaveLength(1);
      expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    } finally {
      await lossy.stop();
    }
  });
});
