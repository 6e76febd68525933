import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import type { Registration } from "../../src/registry/registry.js";
import { canary } from "../tools/leaks/secrets.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { ZooKeeperServer } from "../tools/zookeeper.js";
import { addresses, registration, shows } from "./conformance.js";
import { readText, registerClassic, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const credentials = `app:${canary()}`;

const loginPath = "/UserServiceRpc/Login";
const registerPath = "/UserServiceRpc/Register";

let server: ZooKeeperServer;
beforeAll(async () => {
  server = await ZooKeeperServer.start();
});
afterAll(() => server.stop());

/** A scenario on the shared server. */
function play(name: string, story: (scenario: Scenario) => Promise<void>): void {
  test.concurrent(name, scenarioTimeout, () => Scenario.on(server.address, story));
}

describe("what stands in ZooKeeper", () => {
  play("ZooKeeper's own command line sees our znodes and the classic ones", async (scenario) => {
    const provider = scenario.registry();
    await provider.register(registration(8000, { weight: 2, attributes: { version: "1.2" } }));
    const { chroot } = scenario;
    const shortName = await server.cli("ls", `${chroot}/UserServiceRpc`);
    expect(shortName).toContain("[Login, Register]");
    expect((await server.cli("get", `${chroot}${loginPath}`)).split("\0")[0]).toMatch(/127\.0\.0\.1:8000$/);
    const stat = await server.cli("stat", `${chroot}${loginPath}`);
    expect(stat).toMatch(/ephemeralOwner = 0x[1-9a-f]/);
    expect(await server.cli("stat", `${chroot}/UserServiceRpc`)).toContain("ephemeralOwner = 0x0");
    const entries = await server.cli("ls", `${chroot}/mprpc/fixbug.UserServiceRpc/providers`);
    const name = /\[(127\.0\.0\.1.*)\]/.exec(entries)?.[1] ?? "";
    expect(decodeURIComponent(name)).toMatch(/^127\.0\.0\.1:8000\?w=2&t=\d+&i=[0-9a-f]{16}&v=1\.2$/);
  });

  play("unregister leaves no ephemeral znode behind", async (scenario) => {
    const admin = await scenario.session();
    const provider = scenario.registry();
    const handle = await provider.register(registration(8000));
    expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    await handle.unregister();
    expect(await admin.children("/mprpc/fixbug.UserServiceRpc/providers")).toEqual([]);
    expect(await admin.children("/mprpc/fixbug.UserServiceRpc/classic")).toEqual([]);
    expect(await admin.children("/UserServiceRpc")).toEqual([]);
  });

  play("classic znodes end in NUL, are numeric IPv4 only, and can be switched off", async (scenario) => {
    const admin = await scenario.session();
    const provider = scenario.registry();
    const without: Partial<Registration>[] = [
      { protocols: ["mprpc"] },
      { address: { host: "::1", port: 8000 } },
      { address: { host: "localhost", port: 8000 } },
      { methods: [] },
    ];
    for (const more of without) await provider.register(registration(8000, more));
    expect(await admin.exists("/UserServiceRpc")).toBeUndefined();
    await provider.register(registration(8001));
    expect((await admin.getData(loginPath)).data.toString()).toBe("127.0.0.1:8001\0");
  });

  play(
    "with credentials others may read, but not write, our part; the classic part stays open",
    async (scenario) => {
      const provider = scenario.registry({ auth: credentials });
      await provider.register(registration(8000));
      const { seen } = scenario.follow();
      await seen.until("read without credentials", shows(8000));
      const intruder = scenario.registry();
      const refused = intruder.register(registration(8001));
      await expect(refused).rejects.toMatchObject({ code: "denied" });
      await expect(refused).rejects.toThrow(/no permission in ZooKeeper .*auth=user:password/);
      await scenario.registry({ auth: credentials }).register(registration(8002));
      await seen.until("another holder", shows(8000, 8002));
      const cpp = await scenario.session();
      await registerClassic(cpp, "UserServiceRpc", ["Other"], "127.0.0.1:7000");
      expect(await readText(cpp, "/UserServiceRpc/Other")).toBe("127.0.0.1:7000");
      expect(provider.name + intruder.name).not.toContain("secret");
      const acl = await server.cli("getAcl", `${scenario.chroot}/mprpc`);
      expect(acl).toMatch(/'digest,'app:.*\n: cdrwa\n'world,'anyone\n: r\n/);
    },
  );
});

describe("classic providers and callers", () => {
  play("classic znodes that cannot be written are a warning, not a failure", async (scenario) => {
    const cpp = await scenario.session();
    // Some forks make the service itself ephemeral, and nothing can stand beneath such a znode.
    await cpp.create("/UserServiceRpc", { access: "open", ephemeral: true });
    const warnings: string[] = [];
    const log = {
      ...silentLogger,
      warn: (text: string, fields?: object) => warnings.push(text + JSON.stringify(fields)),
    };
    await scenario.registry({ log }).register(registration(8000));
    await scenario.follow().seen.until("8000", shows(8000));
    expect(warnings.join()).toMatch(/cannot write the znodes C\+\+ callers read.*NO_CHILDREN_FOR_EPHEMERALS/);
  });

  play("a C++ provider is an endpoint, listed, and dropped when it dies", async (scenario) => {
    const cpp = await scenario.session();
    await registerClassic(cpp, "UserServiceRpc", ["Login", "Register"], "127.0.0.1:7000\0\0\0");
    const { registry, seen } = scenario.follow();
    const { endpoints } = await seen.until("classic", shows(7000));
    expect(endpoints).toEqual([
      {
        ...{ host: "127.0.0.1", port: 7000, protocol: "classic", weight: 1, attributes: {} },
        methods: ["Login", "Register"],
      },
    ]);
    expect(await registry.list()).toEqual([{ service: "UserServiceRpc", endpoints }]);
    await cpp.close();
    await seen.until("gone", shows());
  });

  play("data that is no numeric address is no endpoint", async (scenario) => {
    const cpp = await scenario.session();
    await registerClassic(cpp, "UserServiceRpc", ["A"], "localhost:7000");
    await registerClassic(cpp, "UserServiceRpc", ["B"], "\0");
    await registerClassic(cpp, "UserServiceRpc", ["C"], "127.0.0.1:0");
    await registerClassic(cpp, "UserServiceRpc", ["D"], "127.0.0.300:1");
    const { registry, seen } = scenario.follow();
    await seen.until("none", shows());
    expect(await registry.list()).toEqual([]);
  });

  play("a C++ provider's znode is left alone, and taken over when it dies", async (scenario) => {
    const cpp = await scenario.session();
    const admin = await scenario.session();
    await registerClassic(cpp, "UserServiceRpc", ["Login"], "127.0.0.1:7000");
    const provider = scenario.registry();
    await provider.register(registration(8000));
    expect(await readText(admin, loginPath)).toBe("127.0.0.1:7000");
    expect(await readText(admin, registerPath)).toBe("127.0.0.1:8000");
    const { seen } = scenario.follow();
    await seen.until("both", shows(7000, 8000));
    expect(seen.last?.endpoints.map(({ protocol }) => protocol)).toEqual(["classic", "mprpc"]);
    await cpp.close();
    await timed("a foreign classic provider dies", () =>
      eventually("taken over", async () => (await readText(admin, loginPath)) === "127.0.0.1:8000"),
    );
    await seen.until("ours alone", shows(8000));
  });

  play("our provider comes and goes without ever looking like a C++ one", async (scenario) => {
    const { seen } = scenario.follow();
    const provider = scenario.registry();
    for (let round = 0; round < 10; round++) {
      const handle = await provider.register(registration(8000));
      await handle.unregister();
    }
    await provider.register(registration(8001));
    await seen.until("the last", shows(8001));
    const protocols = seen.values.flatMap(({ endpoints }) => endpoints.map(({ protocol }) => protocol));
    expect(new Set(protocols)).toEqual(new Set(["mprpc"]));
  });

  play("of several instances one owns the classic znodes, and the next takes over", async (scenario) => {
    const admin = await scenario.session();
    const first = scenario.registry();
    await first.register(registration(8000));
    const second = scenario.registry();
    await second.register(registration(8001));
    const third = scenario.registry();
    await third.register(registration(8002));
    expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    await second.close();
    expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    await first.close();
    await timed("classic znodes move on", () =>
      eventually("moved", async () => (await readText(admin, loginPath)) === "127.0.0.1:8002"),
    );
  });
});

describe("failures of providers and people", () => {
  play("register, unregister and close are seen", async (scenario) => {
    const { seen } = scenario.follow();
    await seen.until("none", shows());
    const provider = scenario.registry();
    const handle = await timed("register returns", () => provider.register(registration(8000)));
    await timed("register seen", () => seen.until("8000", shows(8000)));
    await handle.unregister();
    await timed("unregister seen", () => seen.until("none", shows()));
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
    await provider.close();
    await timed("close seen", () => seen.until("none", shows()));
  });

  play("an administrator deletes our znodes: made again", async (scenario) => {
    const admin = await scenario.session();
    const { seen } = scenario.follow();
    await scenario.registry().register(registration(8000));
    await seen.until("8000", shows(8000));
    const folder = "/mprpc/fixbug.UserServiceRpc/providers";
    const [name = ""] = await admin.children(folder);
    const before = await admin.exists(`${folder}/${name}`);
    await admin.remove(`${folder}/${name}`);
    await admin.remove(loginPath);
    await timed("deleted znodes are back", async () => {
      await eventually("entry", async () => {
        const stat = await admin.exists(`${folder}/${name}`);
        return stat !== undefined && stat.czxid !== before?.czxid;
      });
      await eventually("classic", async () => (await readText(admin, loginPath)) === "127.0.0.1:8000");
    });
    await seen.until("8000", shows(8000));
  });

  play("an administrator deletes everything: made again", async (scenario) => {
    const admin = await scenario.session();
    const { seen } = scenario.follow();
    await scenario.registry().register(registration(8000));
    await seen.until("8000", shows(8000));
    await server.cli("deleteall", `${scenario.chroot}/mprpc`);
    await server.cli("deleteall", `${scenario.chroot}/UserServiceRpc`);
    await eventually(
      "entry",
      async () => (await admin.children("/mprpc/fixbug.UserServiceRpc/providers")).length === 1,
    );
    await eventually("classic", async () => (await readText(admin, registerPath)) === "127.0.0.1:8000");
    await seen.until("8000", shows(8000));
  });

  play("a provider killed is dropped, and its classic znodes are taken over", async (scenario) => {
    const admin = await scenario.session();
    const { seen } = scenario.follow();
    const child = await scenario.providerProcess(8000);
    await scenario.registry().register(registration(8001));
    await seen.until("both", shows(8000, 8001));
    expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    await child.kill("SIGKILL");
    await timed("killed provider dropped", () => seen.until("8001", shows(8001)));
    await timed("then its classic znodes taken over", () =>
      eventually("taken over", async () => (await readText(admin, loginPath)) === "127.0.0.1:8001"),
    );
  });

  play("killed and restarted while its old session lives: no gap, no duplicate", async (scenario) => {
    const admin = await scenario.session();
    const { seen } = scenario.follow();
    // The longest session the server grants, so that the old one lives on however slow the restart is.
    const first = await scenario.providerProcess(8000, 10_000);
    const before = (await seen.until("8000", shows(8000))).endpoints[0]?.incarnation;
    const owner = (await admin.exists(loginPath))?.ephemeralOwner;
    await scenario.registry().register(registration(8001));
    await first.kill("SIGKILL");
    await scenario.providerProcess(8000);
    await seen.until("the new one", ({ endpoints }) =>
      endpoints.some(({ incarnation }) => incarnation !== before),
    );
    expect((await admin.exists(loginPath))?.ephemeralOwner).not.toBe(owner);
    expect(await admin.children("/mprpc/fixbug.UserServiceRpc/providers")).toHaveLength(2);
    const from = seen.values.findIndex(shows(8000));
    for (const snapshot of seen.values.slice(from)) expect(addresses(snapshot)).toContain("127.0.0.1:8000");
    await seen.until("no duplicate", shows(8000, 8001));
  });

  play(
    "a provider frozen past its session is dropped, and registers again when it thaws",
    async (scenario) => {
      const { seen } = scenario.follow();
      const child = await scenario.providerProcess(8000);
      await seen.until("8000", shows(8000));
      child.suspend();
      await timed("frozen provider dropped", () => seen.until("dropped", shows()));
      child.resume();
      await timed("thawed provider back", () => seen.until("back", shows(8000)));
    },
  );

  play(
    "an entry that may not be removed when its provider leaves is removed when it may be",
    async (scenario) => {
      const { seen } = scenario.follow();
      const folder = "/mprpc/fixbug.UserServiceRpc/providers";
      const warnings = new Recorder<string>();
      const handle = await scenario
        .registry({ log: { ...silentLogger, warn: warnings.push } })
        .register(registration(8000, { protocols: ["mprpc"] }));
      await seen.until("8000", shows(8000));
      await server.cli("setAcl", `${scenario.chroot}${folder}`, "world:anyone:ra");
      await handle.unregister();
      await warnings.until("told", (text) => text === "cannot withdraw a registration");
      const admin = await scenario.session();
      expect(await admin.children(folder)).toHaveLength(1);
      await server.cli("setAcl", `${scenario.chroot}${folder}`, "world:anyone:cdrwa");
      await timed("withdrawn entry may be removed", () => seen.until("gone", shows()));
    },
  );

  play(
    "the same address twice, from two processes: the newer one stays, without flapping",
    async (scenario) => {
      const { seen } = scenario.follow();
      const first = await scenario.providerProcess(8000);
      const before = (await seen.until("8000", shows(8000))).endpoints[0]?.incarnation;
      const from = seen.values.length - 1;
      await scenario.providerProcess(8000);
      await timed("same address twice: the newer one is seen", () =>
        seen.until("the newer", ({ endpoints }) => endpoints[0]?.incarnation !== before),
      );
      await timed("same address twice: the older one gives up", () =>
        first.line(/^a registration gave way; .*was registered by a newer provider/),
      );
      const other = await scenario.registry().register(registration(8001));
      await seen.until("one more", shows(8000, 8001));
      await other.unregister();
      await seen.until("one", shows(8000));
      console.info(
        `same address twice: ${seen.values.length - from} snapshots, the first and that of 8001 included`,
      );
      const incarnations = seen.values.slice(from).map(({ endpoints }) => endpoints[0]?.incarnation);
      expect(incarnations.lastIndexOf(before)).toBe(0);
    },
  );

  play("with a grace, an empty list is not believed at once", async (scenario) => {
    const { seen } = scenario.follow({ emptyGraceMs: 300 });
    const handle = await scenario.registry().register(registration(8000));
    await seen.until("8000", shows(8000));
    await handle.unregister();
    await seen.until("kept for now", ({ stale, endpoints }) => stale && endpoints.length === 1);
    await seen.until("believed", shows());
  });
});

/** By itself, as it would slow the others down. */
test("a hundred registrations, two hundred consumers: coalesced", scenarioTimeout, () =>
  Scenario.on(server.address, async (scenario) => {
    const followers = Array.from({ length: 200 }, () => scenario.follow());
    const consumers = followers.map(({ seen }) => seen);
    await Promise.all(consumers.map((seen) => seen.until("none", shows())));
    const ports = Array.from({ length: 100 }, (_, i) => 9000 + i);
    const providers = ports.map(() => scenario.registry());
    await timed("a hundred registrations seen by two hundred consumers", async () => {
      await Promise.all(providers.map((provider, i) => provider.register(registration(9000 + i))));
      await Promise.all(consumers.map((seen) => seen.until("a hundred", shows(...ports))));
    });
    const counts = consumers.map(({ values }) => values.length).sort((a, b) => a - b);
    const most = counts.at(-1) ?? 0;
    console.info(`snapshots per consumer: at most ${most}, median ${counts[counts.length / 2]}`);
    expect(most).toBeLessThan(ports.length);
    await Promise.all(
      [...providers, ...followers.map(({ registry }) => registry)].map((each) => each.close()),
    );
  }),
);

test("nothing is left connected when all is closed", async () => {
  await eventually("no connection", async () => /Connections: 1$/m.test(await server.ask("srvr")));
});
