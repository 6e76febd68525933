import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { fillDeps } from "../../src/registry/deps.js";
import { openRegistry } from "../../src/registry/open.js";
import { connectZooKeeper } from "../../src/registry/zookeeper/client.js";
import { ZooKeeperSession } from "../../src/registry/zookeeper/session.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { UserServiceRpc } from "../protobuf/gen/test.js";
import { registerClassic } from "../registry/zookeeper-scenario.js";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { guarded } from "../tools/wait.js";
import { sessionTimeoutMs } from "../tools/zookeeper.js";
import { KindsService } from "./gen/kinds.js";
import { mprpc } from "./mprpc.js";

const proto = fileURLToPath(new URL("../protobuf/test.proto", import.meta.url));
const closers: Array<() => Promise<unknown>> = [];
let flags: string[];
let classicAddress: string;
let modernAddress: string;

/** A provider of our own; without a registry it stands in for a C++ one, whose wire it speaks as well. */
async function startProvider(
  url: string | undefined,
  fill: (provider: RpcProvider) => void,
): Promise<string> {
  const transport = tcpTransport(systemClock);
  const registry = url === undefined ? {} : { registry: openRegistry(url, { snapshotFolder: false }) };
  const runtime = createRuntime({ transport, ...registry });
  const provider = new RpcProvider(runtime);
  fill(provider);
  const { host, port } = await provider.start();
  closers.push(async () => {
    await provider.shutdown();
    await runtime.close();
  });
  return `${host}:${port}`;
}

beforeAll(async () => {
  const { server, chroot } = await sharedZooKeeper();
  const snapshots = await mkdtemp(path.join(tmpdir(), "mprpc-cli-snapshots-"));
  closers.push(() => rm(snapshots, { recursive: true, force: true }));
  const url = `zookeeper://${server.address}${chroot}`;
  flags = [`--registry=${url}`, `--zookeeper.snapshotdir=${snapshots}`];
  modernAddress = await startProvider(url, (provider) =>
    provider.notifyService(KindsService, { echo: (request) => request, getNothing: () => ({}) }),
  );
  classicAddress = await startProvider(undefined, (provider) =>
    provider.notifyService(UserServiceRpc, {
      login: ({ name, pwd }) => ({ success: `${name}/${pwd}` === "zhang san/123456" }),
      getFriendLists: () => ({}),
    }),
  );
  const session = new ZooKeeperSession({
    servers: [{ host: "127.0.0.1", port: server.port }],
    ...{ chroot, sessionTimeoutMs, auth: undefined, connect: connectZooKeeper, deps: fillDeps({}) },
  });
  const opened = new Promise<void>((resolve) => session.on("session", () => resolve()));
  session.start();
  await guarded(opened, "a session");
  closers.push(() => session.close());
  await registerClassic(session, "UserServiceRpc", ["Login", "GetFriendLists"], classicAddress);
});

afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("list shows services of both kinds, classic ones marked and with the methods that have a znode", async () => {
  const { code, out, err } = await mprpc(["list", ...flags]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(
    [
      ...["UserServiceRpc", "  GetFriendLists", "  Login", `  at ${classicAddress} (classic)`, ""],
      "test.cli.KindsService",
      "  Echo(test.cli.Kinds) returns (test.cli.Kinds)",
      "  GetNothing(test.cli.Nothing) returns (test.cli.Nothing)",
      ...[`  at ${modernAddress}`, ""],
    ].join("\n"),
  );
});

test("call reaches a classic provider by its short name or the full one, given its .proto", async () => {
  const request = '{"name": "zhang san", "pwd": "123456"}';
  for (const service of ["UserServiceRpc", "fixbug.UserServiceRpc"]) {
    const bare = await mprpc(["call", service, "Login", request, "--text", ...flags]);
    expect(bare).toMatchObject({ code: 1, out: "" });
    expect(bare.err).toMatch(/has only classic providers in registry zookeeper:.*--proto FILE/);
    const { code, out, err } = await mprpc([
      "call",
      service,
      "Login",
      request,
      "--text",
      "--proto",
      proto,
      ...flags,
    ]);
    // On a busy machine the list that the command before has saved is used until ZooKeeper answers.
    const told = err.replace(
      /^mprpc: warning: ZooKeeper has not answered yet; using the last known .*\n/gm,
      "",
    );
    expect({ code, told }).toEqual({ code: 0, told: "" });
    expect(JSON.parse(out)).toEqual({ success: true });
  }
});

test("a ZooKeeper that is away is told, within the time given for it", async () => {
  const { code, err } = await mprpc(["list", "--registry=zookeeper://127.0.0.1:1?start=100ms&snapshots=off"]);
  expect(code).toBe(1);
  expect(err).toMatch(/^mprpc: .*127\.0\.0\.1:1/m);
  expect(err).not.toContain("    at ");
});
