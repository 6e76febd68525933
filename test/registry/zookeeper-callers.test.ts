import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import type { ChannelOptions } from "../../src/client/channel-options.js";
import { silentLogger } from "../../src/log/logger.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import type { OpenRegistryOptions } from "../../src/registry/open.js";
import type { Endpoint } from "../../src/registry/registry.js";
import { SnapshotFile } from "../../src/registry/snapshot-file.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ClassicProvider } from "../interop/classic-provider.js";
import { failure } from "../support/async.js";
import { Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { startScript } from "../tools/child.js";
import { canary } from "../tools/leaks/secrets.js";
import { guarded, Recorder } from "../tools/wait.js";
import { freePort, ZooKeeperServer } from "../tools/zookeeper.js";
import { registerClassic, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const credentials = `app:${canary()}`;

let server: ZooKeeperServer;

beforeAll(async () => {
  server = await ZooKeeperServer.start();
});
afterAll(() => server.stop());

const service = "probe.ProbeService";
const providers = `/mprpc/${service}/providers`;
const transport = tcpTransport(systemClock);

async function startProvider(scenario: Scenario, options: OpenRegistryOptions = {}): Promise<RpcProvider> {
  const provider = new RpcProvider(createRuntime({ transport, registry: scenario.registry(options) }));
  const echo = () => ({ text: "here" });
  provider.notifyService(ProbeService, { echo, relay: echo, note: echo });
  await provider.start();
  scenario.onEnd(() => provider.shutdown());
  return provider;
}

function startCaller(
  scenario: Scenario,
  options: OpenRegistryOptions,
  address?: string,
  channelOptions?: ChannelOptions,
) {
  const warnings = new Recorder<string>();
  const log = { ...silentLogger, warn: warnings.push };
  const registry = scenario.registry({ log, ...options }, address);
  const channel = new RpcChannel(createRuntime({ transport, registry, log }), channelOptions);
  scenario.onEnd(() => channel.close());
  return { stub: new ProbeServiceStub(channel), warnings, registry };
}

const deadEndpoint = async (): Promise<Endpoint> => ({
  ...{ host: "127.0.0.1", port: await freePort(), protocol: "mprpc", weight: 1, attributes: {} },
});

describe("a snapshot file", () => {
  test.each([
    ["of an address nobody has now", 1],
    ["that is empty", 0],
  ] as const)(
    "%s: calls wait for the list of a ZooKeeper that is slow to answer",
    scenarioTimeout,
    (_, dead) =>
      Scenario.on(server.address, async (scenario) => {
        await startProvider(scenario);
        const snapshotFolder = await scenario.folder();
        const proxy = await scenario.proxy(server.port);
        proxy.setBlackHole(true);
        const saved = await Promise.all(Array.from({ length: dead }, deadEndpoint));
        const { name } = scenario.registry({}, proxy.address);
        await new SnapshotFile(snapshotFolder, name, silentLogger).save(service, saved);
        const { stub, warnings } = startCaller(scenario, { snapshotFolder }, proxy.address);
        const first = stub.echo({}, { timeoutMs: 25_000 });
        await warnings.until("the file is used", (text) => text.includes("using the last known endpoints"));
        const second = stub.echo({}, { timeoutMs: 25_000 });
        proxy.setBlackHole(false);
        const replies = await guarded(Promise.all([first, second]), "both replies");
        expect(replies.map(({ text }) => text)).toEqual(["here", "here"]);
      }),
  );

  test(
    "is used at once while ZooKeeper is down; of a dead address the deadline tells both",
    scenarioTimeout,
    () =>
      Scenario.on(server.address, async (scenario) => {
        const away = `127.0.0.1:${await freePort()}`;
        const snapshotFolder = await scenario.folder();
        const { name } = scenario.registry({}, away);
        const provider = await startProvider(scenario);
        const live = { ...(await deadEndpoint()), port: provider.address?.port ?? 0 };
        const file = new SnapshotFile(snapshotFolder, name, silentLogger);
        await file.save(service, [live]);
        const { stub } = startCaller(scenario, { snapshotFolder }, away);
        expect((await stub.echo({}, { timeoutMs: 25_000 })).text).toBe("here");
        const dead = await deadEndpoint();
        await file.save(service, [dead]);
        const other = startCaller(scenario, { snapshotFolder }, away);
        const call = failure(other.stub.echo({}, { timeoutMs: 2000 }));
        const error = await call;
        expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never" });
        expect(error.rawMessage).toContain(`registry ${name} has not answered yet (`);
        expect(error.rawMessage).toContain(`cannot connect to 127.0.0.1:${dead.port}: ECONNREFUSED`);
        expect(error.rawMessage).toMatch(
          /has not answered yet \(.*ECONNREFUSED.*\); by the list saved earlier, every endpoint/,
        );
      }),
  );
});

describe("without the permission to read", () => {
  const digest = createHash("sha1").update(credentials).digest("base64");
  /** Whoever changes it back needs none. */
  const onlyApp = `digest:app:${digest}:cdrwa,world:anyone:a`;

  test("a caller is told so at once; with the credentials it is not", scenarioTimeout, () =>
    Scenario.on(server.address, async (scenario) => {
      const auth = credentials;
      const admin = await scenario.session();
      for (const path of ["/mprpc", `/mprpc/${service}`, providers])
        await admin.create(path, { access: "open" });
      await startProvider(scenario, { auth });
      await server.cli("setAcl", `${scenario.chroot}${providers}`, onlyApp);
      const proxy = await scenario.proxy(server.port);
      const { stub, registry } = startCaller(scenario, {}, proxy.address);
      const error = await failure(stub.echo({}, { timeoutMs: 25_000 }));
      expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never", attempts: 0 });
      expect(error.rawMessage).toBe(
        `registry ${registry.name}: ZooKeeper does not let us read ${service} (${scenario.chroot}${providers}: NO_AUTH); ` +
          "callers need the permission READ there, or credentials that have it: [zookeeper] auth=user:password",
      );
      expect((await startCaller(scenario, { auth }).stub.echo({})).text).toBe("here");
      const warnings = new Recorder<[string, unknown]>();
      const log = { ...silentLogger, warn: (text: string, fields: unknown) => warnings.push([text, fields]) };
      expect(await scenario.registry({ log }).list()).toEqual([]);
      expect(warnings.values).toEqual([
        [
          "cannot read a service from ZooKeeper",
          { service, error: `${scenario.chroot}${providers}: NO_AUTH` },
        ],
      ]);
      // Once it may read, the next reading finds the list.
      const waiting = stub.echo({}, { timeoutMs: 25_000, waitForReady: true });
      await server.cli("setAcl", `${scenario.chroot}${providers}`, "world:anyone:cdrwa");
      proxy.cut();
      expect((await waiting).text).toBe("here");
    }),
  );

  test("of the classic znodes only: ours are called", scenarioTimeout, () =>
    Scenario.on(server.address, async (scenario) => {
      await startProvider(scenario);
      await server.cli("setAcl", `${scenario.chroot}/ProbeService`, onlyApp);
      const { stub, warnings } = startCaller(scenario, {});
      expect((await stub.echo({}, { timeoutMs: 25_000 })).text).toBe("here");
      expect(warnings.values).toEqual(["cannot read the classic providers of a service"]);
    }),
  );
});

test("with credentials a classic znode that anybody wrote gets no call", scenarioTimeout, () =>
  Scenario.on(server.address, async (scenario) => {
    const { port } = await deadEndpoint();
    await registerClassic(await scenario.session(), "ProbeService", ["Echo"], `127.0.0.1:${port}`);
    const guardedCaller = startCaller(scenario, { auth: credentials });
    const refused = await failure(guardedCaller.stub.echo({}));
    expect(refused.rawMessage).toMatch(
      new RegExp(`^no mprpc provider of probe.ProbeService .*channel.classic\\): 127.0.0.1:${port}$`),
    );
    const open = startCaller(scenario, { auth: credentials }, undefined, { classic: true });
    expect((await failure(open.stub.echo({}))).rawMessage).toContain(`cannot connect to 127.0.0.1:${port}`);
  }),
);

test(
  "a mixed fleet: ours is killed while its entry lives on, and the C++ one takes every call",
  scenarioTimeout,
  () =>
    Scenario.on(server.address, async (scenario) => {
      const classic = await ClassicProvider.start("le32", () => encodeMessage(Blob, { text: "classic" }));
      scenario.onEnd(() => classic.stop());
      const cpp = await scenario.session();
      await registerClassic(cpp, "ProbeService", ["Echo"], `127.0.0.1:${classic.port}`);
      const ours = startScript(new URL("cluster-process.ts", import.meta.url), scenario.url(), "0", "0");
      scenario.onEnd(() => ours.kill());
      const [, pid] = /^worker (\d+) at/.exec(await ours.line(/^worker /)) ?? [];
      const { stub } = startCaller(scenario, {});
      expect((await stub.echo({})).text).toBe(pid);
      await ours.kill("SIGKILL");
      for (let i = 0; i < 50; i++) expect((await stub.echo({})).text).toBe("classic");
      expect(classic.connections).toBe(50);
    }),
);
