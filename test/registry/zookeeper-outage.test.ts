import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { freePort } from "../tools/zookeeper.js";
import { expectNoGap, registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const providers = "/mprpc/fixbug.UserServiceRpc/providers";
const loginPath = "/UserServiceRpc/Login";

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
      expect(stale).toEqual({ endpoints: last.endpoints, stale: true, hint: true });
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
