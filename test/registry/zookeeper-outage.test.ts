import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/logger/logger.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { freePort, ZooKeeperServer } from "../tools/zookeeper.js";
import { addresses, registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const providers = "/mprpc/fixbug.UserServiceRpc/providers";
const loginPath = "/UserServiceRpc/Login";

/** After its first list the consumer never sees one without the provider. */
function expectNoGap(seen: Recorder<Snapshot>, address = "127.0.0.1:8000"): void {
  const from = seen.values.findIndex((snapshot) => addresses(snapshot).includes(address));
  for (const snapshot of seen.values.slice(from)) expect(addresses(snapshot)).toContain(address);
}

describe("ZooKeeper itself fails", () => {
  test.concurrent("down and back within the session: the list stays, the znode too", scenarioTimeout, () =>
    Scenario.alone(async (scenario, server) => {
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      const admin = await scenario.session();
      const [name = ""] = await admin.children(providers);
      const before = await admin.exists(`${providers}/${name}`);
      await server.kill();
      await seen.until("stale", ({ stale }) => stale);
      await server.start();
      await timed("server down and back", () => seen.until("fresh again", shows(8000)));
      await eventually("the administrator is back", async () => admin.connected);
      expect((await admin.exists(`${providers}/${name}`))?.czxid).toBe(before?.czxid);
      expectNoGap(seen);
    }),
  );

  test.concurrent("down beyond the session: the list stays, then all register again", scenarioTimeout, () =>
    Scenario.alone(async (scenario, server) => {
      const logged = new Recorder<string>();
      const log = { ...silentLogger, warn: logged.push };
      const lost = (texts: Recorder<string>) =>
        texts.until("lost", (text) => text === "ZooKeeper session lost");
      const { seen } = scenario.follow({ log });
      const providerLogged = new Recorder<string>();
      const provider = scenario.registry({ log: { ...silentLogger, warn: providerLogged.push } });
      await provider.register(registration(8000));
      await scenario.registry().register(registration(8001));
      const handle = await provider.register(registration(8002));
      await seen.until("three", shows(8000, 8001, 8002));
      await server.kill();
      await seen.until("stale", ({ stale }) => stale);
      await handle.unregister();
      await Promise.all([lost(logged), lost(providerLogged)]);
      await server.start();
      await timed("down beyond the session", () => seen.until("fresh again", shows(8000, 8001)));
      expectNoGap(seen);
      const admin = await scenario.session();
      await eventually("classic", async () => (await readText(admin, loginPath))?.startsWith("127.0.0.1:"));
    }),
  );

  test.concurrent("its data is wiped: new sessions, all register again, no empty list", scenarioTimeout, () =>
    Scenario.alone(async (scenario, server) => {
      const { seen } = scenario.follow();
      await scenario.registry().register(registration(8000));
      await scenario.registry().register(registration(8001));
      await seen.until("two", shows(8000, 8001));
      await server.kill();
      await server.wipe();
      await server.start();
      await seen.until("stale", ({ stale }) => stale);
      await timed("data wiped", () => seen.until("fresh again", shows(8000, 8001)));
      expectNoGap(seen);
      const admin = await scenario.session();
      expect(await admin.children(providers)).toHaveLength(2);
    }),
  );

  test.concurrent("a provider started while it is down registers when it is back", scenarioTimeout, () =>
    Scenario.alone(async (scenario, server) => {
      await server.kill();
      const { seen } = scenario.follow();
      const registered = scenario.registry({ startTimeoutMs: 30_000 }).register(registration(8000));
      await server.start();
      await registered;
      await seen.until("8000", shows(8000));
    }),
  );

  test.concurrent("of two servers one is frozen: the other one serves", scenarioTimeout, async () => {
    const servers = await ZooKeeperServer.startEnsemble(3);
    const [frozen, other] = servers;
    if (frozen === undefined || other === undefined) throw new Error("no servers");
    try {
      await Scenario.on(other.address, async (scenario) => {
        await scenario.registry().register(registration(8000));
        frozen.suspend();
        const both = `${frozen.address},${other.address}`;
        // A seed for each order, so that one of them meets the frozen server first.
        await timed("frozen server of two", () =>
          Promise.all(
            [0, 0.9].map((random) => {
              const { seen } = scenario.follow({ random: () => random }, both);
              return seen.until("8000", shows(8000));
            }),
          ),
        );
      });
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  });

  test.concurrent(
    "the leader of three is killed: nothing is lost; the quorum is lost: lists stay",
    scenarioTimeout,
    async () => {
      const servers = await ZooKeeperServer.startEnsemble(3);
      const all = servers.map(({ address }) => address).join(",");
      try {
        await Scenario.on(all, async (scenario) => {
          const { seen } = scenario.follow();
          await scenario.registry().register(registration(8000));
          await seen.until("8000", shows(8000));
          const modes = await Promise.all(servers.map((server) => server.ask("srvr")));
          const leader = servers[modes.findIndex((mode) => mode.includes("Mode: leader"))];
          await leader?.kill();
          await timed("leader killed, a new registration seen", async () => {
            await scenario.registry({ startTimeoutMs: 30_000 }).register(registration(8001));
            await seen.until("both", shows(8000, 8001));
          });
          const second = servers.find((server) => server !== leader);
          await second?.kill();
          await seen.until("stale", ({ stale }) => stale);
          await second?.start();
          await timed("quorum back", () => seen.until("fresh", shows(8000, 8001)));
          expectNoGap(seen);
        });
      } finally {
        await Promise.all(servers.map((server) => server.stop()));
      }
    },
  );
});

describe("a start without ZooKeeper", () => {
  test("uses the snapshot file, marked stale, and corrects it when ZooKeeper is back", scenarioTimeout, () =>
    Scenario.alone(async (scenario, server) => {
      const folder = join(await scenario.folder(), "snapshots");
      const first = scenario.follow({ snapshotFolder: folder });
      const provider = scenario.registry();
      await provider.register(registration(8000, { attributes: { version: "1" } }));
      const last = await first.seen.until("8000", shows(8000));
      const [name = ""] = await readdir(folder);
      await eventually("the file", async () =>
        (await readdir(join(folder, name))).includes("fixbug.UserServiceRpc.json"),
      );
      await first.registry.close();
      await server.kill();
      const second = scenario.follow({ snapshotFolder: folder });
      const stale = await timed("cold start from the snapshot file", () =>
        second.seen.until("stale", () => true),
      );
      expect(stale).toEqual({ endpoints: last.endpoints, stale: true });
      await expect(second.registry.list(AbortSignal.timeout(50))).rejects.toThrow("timeout");
      await provider.close();
      await server.start();
      await second.seen.until("corrected", shows());
    }),
  );

  test("with a broken or foreign snapshot file, or none, waits; register and list say why they failed", async () => {
    const port = await freePort();
    await Scenario.on(`127.0.0.1:${port}`, async (scenario) => {
      const folder = await scenario.folder();
      const warnings: string[] = [];
      const log = { ...silentLogger, warn: (text: string) => warnings.push(text) };
      const options = { snapshotFolder: folder, log, startTimeoutMs: 300 };
      const { registry, seen } = scenario.follow(options);
      const refused = registry.register(registration(8000));
      await expect(refused).rejects.toMatchObject({ code: "unreachable" });
      await expect(refused).rejects.toThrow(
        new RegExp(
          `cannot register fixbug.UserServiceRpc at zookeeper://127.0.0.1:${port}/\\S+ within 300 ms .*ECONNREFUSED`,
        ),
      );
      await expect(registry.list()).rejects.toThrow("cannot list the services");
      expect(seen.values).toEqual([]);
      const [name = ""] = await readdir(folder);
      await writeFile(join(folder, name, "fixbug.UserServiceRpc.json"), '{"endpoints":[{"host":1}]}');
      const again = scenario.follow(options);
      await eventually("a warning", async () => warnings.some((text) => text.includes("snapshot file")));
      expect(again.seen.values).toEqual([]);
    });
  });
});
