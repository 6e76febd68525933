import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import path from "node:path";
import { conf, formatAddress, MprpcApplication, openRegistry, RpcChannel, silentLogger } from "mprpc";
import { expect, onTestFinished, test } from "vitest";
import { watchSecret } from "../../../../test/tools/leaks/secrets.js";
import { onlyServices } from "../../src/common/callers.js";
import { type ServiceName, serviceNames } from "../../src/common/part.js";
import { rpcPlace } from "../../src/common/rpc-place.js";
import { makeSecrets, secretsFile } from "../../src/common/secrets.js";
import { sections } from "../../src/common/sections.js";
import { DBProxyServiceStub } from "../../src/dbproxy/gen/dbproxy.js";
import { type Disk, startDisk } from "../support/disk.js";

/** What the attacker asks dbproxy for: the secret that signs tickets, and a password hash. */
const actions = [
  { name: "secret.get", params: JSON.stringify({ name: "tickets", proposed: "x".repeat(43) }) },
  { name: "user.find", params: JSON.stringify({ username: "victim" }) },
];

/** Somebody with a channel of their own, to one address. */
async function stranger(address: string): Promise<DBProxyServiceStub> {
  const app = await MprpcApplication.init(["node", "stranger", "--channel.local=off"], {
    env: {},
    log: silentLogger,
    registry: openRegistry(`static://${address}`),
  });
  const channel = new RpcChannel(app, { timeoutMs: 10_000 });
  onTestFinished(async () => {
    await channel.close();
    await app.close();
  });
  return new DBProxyServiceStub(channel);
}

/** Every address that the registry of a disk has. */
async function rpcAddresses(dataFolder: string): Promise<string[]> {
  const registry = openRegistry(`file:${dataFolder}/registry`);
  const listed = await registry.list();
  await registry.close();
  return [...new Set(listed.flatMap(({ endpoints }) => endpoints.map((one) => formatAddress(one))))];
}

/** The TCP ports that processes listen on. */
function listeningPorts(pids: readonly number[]): number[] {
  const ports: number[] = [];
  for (const pid of pids) {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return "";
      }
    });
    const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
    for (const table of ["tcp", "tcp6"]) {
      for (const line of readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1)) {
        const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
        if (state === "0A" && inodes.has(inode)) ports.push(Number.parseInt(local.split(":")[1] ?? "", 16));
      }
    }
  }
  return ports;
}

function placeFor(args: readonly string[], services: readonly ServiceName[]): string | undefined {
  const loaded = conf.load({ argv: [...args], env: {}, cwd: "/", sections });
  return rpcPlace(loaded, "/tmp/clouddisk-test-place", services);
}

test("all services in one process: no RPC port, and no socket either", () => {
  expect(placeFor([], serviceNames)).toBe("inproc:");
});

test("a process each on one machine: a unix socket; over the network: what the conf says", () => {
  expect(placeFor([], ["dbproxy"])).toMatch(/^unix:\/tmp\/clouddisk-test-place\/rpc\//);
  expect(placeFor(["--registry=zookeeper://127.0.0.1:2181"], ["dbproxy"])).toBeUndefined();
  expect(placeFor(["--rpcserverip=127.0.0.1"], ["dbproxy"])).toBeUndefined();
});

test("the attack on six processes: no port answers but HTTP, another user cannot open a socket, a forged ticket is refused", async () => {
  const disk = await startDisk({ services: [] });
  for (const name of serviceNames) await disk.startProcess([name]);
  const victim = await disk.user("victim");
  const addresses = await rpcAddresses(disk.dataFolder);
  expect(addresses.length).toBeGreaterThan(4);
  expect(addresses.filter((address) => !address.startsWith("unix:/"))).toEqual([]);
  const httpPorts = new Set(
    disk.processes.flatMap(({ httpAddresses }) =>
      [...httpAddresses.values()].map((url) => Number(new URL(url).port)),
    ),
  );
  const pids = disk.processes.map(({ pid }) => pid);
  expect(listeningPorts(pids).filter((port) => !httpPorts.has(port))).toEqual([]);
  for (const address of addresses) asAnotherUser(address.slice("unix:".length));
  await expectForgedTicketsRefused(disk, victim.name);
}, 120_000);

/** Another user of the machine tries to connect; where the test may not become one, the folder says that they could not. */
function asAnotherUser(socket: string): void {
  expect(statSync(path.dirname(socket)).mode & 0o077).toBe(0);
  if (process.getuid?.() !== 0) return;
  const code = `require("net").connect(${JSON.stringify(socket)}).on("error", (e) => console.log(e.code)).on("connect", () => { console.log("in"); process.exit(); })`;
  const { stdout } = spawnSync(process.execPath, ["-e", code], {
    uid: 65_534,
    gid: 65_534,
    cwd: "/",
    encoding: "utf8",
  });
  expect(stdout.trim()).toBe("EACCES");
}

async function expectForgedTicketsRefused(disk: Disk, user: string): Promise<void> {
  const payload = Buffer.from(JSON.stringify({ user, userId: 1, session: 1, expiresMs: 4e12 })).toString(
    "base64url",
  );
  for (const secret of ["", "x".repeat(43)]) {
    const signature = createHmac("sha256", secret).update(payload).digest("base64url");
    const ticket = `${payload}.${signature}`;
    for (const service of ["upload", "download"] as const) {
      const reply = await fetch(`${disk.urlOf(service)}/file/${service}?ticket=${ticket}`, {
        headers: { authorization: `Bearer ${ticket}` },
      });
      expect(reply.ok).toBe(false);
    }
  }
}

test("a stranger who reaches a port gets nothing out of dbproxy, and the disk's own log says who tried", async () => {
  const disk = await startDisk({ services: [], conf: { rpcserverip: "127.0.0.1" } });
  await disk.startNode(serviceNames);
  await disk.user("victim");
  const [address = ""] = await rpcAddresses(disk.dataFolder);
  expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  const dbproxy = await stranger(address);
  for (const transaction of [false, true]) {
    for (const action of actions) {
      const asked = dbproxy.executeAction({ actions: [action], sequence: true, transaction });
      await expect(asked).rejects.toMatchObject({ codeName: "PERMISSION_DENIED" });
    }
  }
  const refused = disk.log.lines.filter(({ fields }) =>
    String(fields.error).includes("nobody in particular (127.0.0.1:"),
  );
  expect(refused).toHaveLength(4);
}, 60_000);

test("callers=any lets a stranger in, which is for a network that is closed itself", async () => {
  const disk = await startDisk({ conf: { rpcserverip: "127.0.0.1", "clouddisk.callers": "any" } });
  const [address = ""] = await rpcAddresses(disk.dataFolder);
  const dbproxy = await stranger(address);
  const reply = await dbproxy.executeAction({
    actions: actions.slice(0, 1),
    sequence: true,
    transaction: false,
  });
  expect(reply.code).toBe(0);
}, 60_000);

test("a service that has proved its secret calls what it should, and nothing else", () => {
  const judge = (transport: string | undefined, service: string): boolean => {
    const call = {
      context: {
        method: { service, fullName: `${service}.X` },
        peer: { address: "10.0.0.1:1", protocol: "mprpc", identities: { transport } },
      },
    };
    try {
      onlyServices("services")((() => Promise.resolve(undefined)) as never)(call as never);
      return true;
    } catch {
      return false;
    }
  };
  expect(judge("secret:account", "clouddisk.DBProxyService")).toBe(true);
  expect(judge("secret:transfer", "clouddisk.UserService")).toBe(false);
  expect(judge("secret:somebody", "clouddisk.DBProxyService")).toBe(false);
  expect(judge("dns:evil.example", "clouddisk.DBProxyService")).toBe(false);
  expect(judge(undefined, "clouddisk.DBProxyService")).toBe(false);
});

test("secrets are made once, one for each service, for this user alone", async () => {
  const disk = await startDisk({ services: [] });
  expect(makeSecrets(disk.dataFolder)).toBe(true);
  const file = secretsFile(disk.dataFolder);
  const first = readFileSync(file, "utf8");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(
    first
      .trim()
      .split("\n")
      .map((line) => line.split(":")[0]),
  ).toEqual([...serviceNames]);
  for (const line of first.trim().split("\n")) {
    watchSecret(line.split(":")[1] ?? "");
    expect(Buffer.from(line.split(":")[1] ?? "", "base64url")).toHaveLength(32);
  }
  expect(makeSecrets(disk.dataFolder)).toBe(false);
  expect(readFileSync(file, "utf8")).toBe(first);
});
