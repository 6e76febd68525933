import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import type { ZooKeeperSession } from "../../src/registry/zookeeper/session.js";
import { eventually, Recorder } from "../tools/wait.js";
import { ZooKeeperServer } from "../tools/zookeeper.js";
import { expectNoGap, registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

/** The layout of forks that keep `/Service/Method` persistent, with an ephemeral child for each instance. */
const methods = ["Login", "Register"];
const pathOf = (method: string) => `/UserServiceRpc/${method}`;

let server: ZooKeeperServer;
beforeAll(async () => {
  server = await ZooKeeperServer.start();
});
afterAll(() => server.stop());

function play(name: string, story: (scenario: Scenario) => Promise<void>): void {
  test.concurrent(name, scenarioTimeout, () => Scenario.on(server.address, story));
}

interface Instance {
  readonly name: string;
  readonly data?: string;
  readonly sequential?: boolean;
}

/** What a provider of such a fork does. */
async function registerChild(
  session: ZooKeeperSession,
  { name, data = "", sequential = false }: Instance,
): Promise<void> {
  for (const path of ["/UserServiceRpc", ...methods.map(pathOf)]) {
    if ((await session.exists(path)) === undefined) await session.create(path, { access: "open" });
  }
  for (const method of methods) {
    await session.create(`${pathOf(method)}/${name}`, {
      ...{ data: Buffer.from(data), access: "open", ephemeral: true, sequential },
    });
  }
}

describe("instances as children of a method", () => {
  play("are endpoints, whether the child is named ip:port or holds it, and go with it", async (scenario) => {
    const { registry, seen } = scenario.follow();
    await seen.until("none", shows());
    const first = await scenario.session();
    await registerChild(first, { name: "127.0.0.1:7000" });
    await seen.until("named so", shows(7000));
    const second = await scenario.session();
    await registerChild(second, { name: "inst_", data: "127.0.0.1:7001\0\0", sequential: true });
    await registerChild(second, { name: "provider", data: "127.0.0.1:7002", sequential: true });
    await registerChild(second, { name: "127.0.0.1:7003", data: "127.0.0.1:7003" });
    await registerChild(second, { name: "config", data: "no address" });
    const { endpoints } = await seen.until("four", shows(7000, 7001, 7002, 7003));
    for (const endpoint of endpoints) {
      expect(endpoint).toMatchObject({ protocol: "classic", methods: methods });
    }
    expect(await registry.list()).toEqual([{ service: "UserServiceRpc", endpoints }]);
    // Data that changes is followed, too.
    const [name = ""] = (await second.children(pathOf("Login"))).filter((one) => one.startsWith("inst_"));
    await second.setData(`${pathOf("Login")}/${name}`, Buffer.from("127.0.0.1:7004"));
    await seen.until("moved", shows(7000, 7001, 7002, 7003, 7004));
    await first.close();
    await second.close();
    await seen.until("gone", shows());
  });

  play(
    "have those of ours beside them, each of ours; nothing of ours is a trouble to anybody",
    async (scenario) => {
      const fork = await scenario.session();
      const admin = await scenario.session();
      await registerChild(fork, { name: "127.0.0.1:7000" });
      const { seen } = scenario.follow();
      await seen.until("the fork's", shows(7000));
      const warnings = new Recorder<string>();
      const log = { ...silentLogger, warn: warnings.push, error: warnings.push };
      const first = scenario.registry({ log });
      const second = scenario.registry({ log });
      await first.register(registration(8000));
      const handle = await second.register(registration(8001));
      await seen.until("all", shows(7000, 8000, 8001));
      expect(seen.last?.endpoints.map(({ protocol }) => protocol)).toEqual(["classic", "mprpc", "mprpc"]);
      for (const method of methods) {
        const children = (await admin.children(pathOf(method))).sort();
        expect(children).toEqual(["127.0.0.1:7000", "127.0.0.1:8000", "127.0.0.1:8001"]);
        expect(await readText(admin, `${pathOf(method)}/127.0.0.1:8001`)).toBe("127.0.0.1:8001");
      }
      // Another provider of the fork still can, after ours.
      await registerChild(fork, { name: "127.0.0.1:7001" });
      await seen.until("one more", shows(7000, 7001, 8000, 8001));
      for (const child of ["127.0.0.1:8000", "127.0.0.1:8001"]) {
        const path = `${pathOf("Login")}/${child}`;
        await admin.remove(path);
        await eventually(`${child} is made again`, async () => (await readText(admin, path)) === child);
      }
      await handle.unregister();
      expect((await admin.children(pathOf("Login"))).sort()).toEqual([
        ...["127.0.0.1:7000", "127.0.0.1:7001", "127.0.0.1:8000"],
      ]);
      await fork.close();
      await seen.until("ours", shows(8000));
      expect(warnings.values).toEqual([]);
      expectNoGap(seen);
    },
  );

  play(
    "a child of ours left by an earlier session is made ours before that session ends",
    async (scenario) => {
      const fork = await scenario.session();
      const admin = await scenario.session();
      await registerChild(fork, { name: "127.0.0.1:7000" });
      const old = await scenario.session();
      await registerChild(old, { name: "127.0.0.1:8000", data: "127.0.0.1:8000" });
      await scenario.registry().register(registration(8000));
      await old.close();
      expect(await readText(admin, `${pathOf("Login")}/127.0.0.1:8000`)).toBe("127.0.0.1:8000");
    },
  );

  play(
    "an empty persistent method takes our child; one with an address put there by hand is left alone",
    async (scenario) => {
      const admin = await scenario.session();
      await admin.create("/UserServiceRpc", { access: "open" });
      await admin.create(pathOf("Login"), { access: "open" });
      await admin.create(pathOf("Register"), { access: "open", data: Buffer.from("127.0.0.1:7000") });
      await scenario.registry().register(registration(8000));
      expect(await admin.children(pathOf("Login"))).toEqual(["127.0.0.1:8000"]);
      expect(await admin.children(pathOf("Register"))).toEqual([]);
      await scenario.follow().seen.until("both", shows(7000, 8000));
    },
  );
});
