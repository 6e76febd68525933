import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { openRegistry } from "mprpc";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { ConsulServer, consulProgram } from "../../../../test/tools/consul.js";
import { EtcdServer, etcdProgram } from "../../../../test/tools/etcd.js";
import { eventually, timed } from "../../../../test/tools/wait.js";
import { ZooKeeperServer } from "../../../../test/tools/zookeeper.js";
import { password } from "../support/disk.js";
import { clouddiskFolder, scripted, urlIn } from "../support/scripted.js";

// Six processes that find each other through three servers of a registry, which is chosen by two flags. One of the servers is killed, then all of
// them, and then they are back, while users sign up, send, list and fetch files without a pause.

interface Server {
  readonly address: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

interface Kind {
  readonly name: "consul" | "etcd" | "zookeeper";
  /** Behind the addresses: how long a silent provider stays listed. */
  readonly options: string;
  startAll(): Promise<Server[]>;
}

/** The shortest that a busy machine keeps. */
const silentMs = 3000;
const kinds: readonly Kind[] = [
  { name: "consul", options: "/disk?ttl=3s", startAll: () => ConsulServer.startCluster(3) },
  { name: "etcd", options: "/disk?ttl=3s", startAll: () => EtcdServer.startCluster(3) },
  { name: "zookeeper", options: "?session=3s", startAll: () => ZooKeeperServer.startEnsemble(3) },
];

/** What has to be registered, each once: all that the processes serve. */
const services = [
  "clouddisk.DBProxyService",
  "clouddisk.DownloadService",
  "clouddisk.FileService",
  "clouddisk.TransferService",
  "clouddisk.UploadService",
  "clouddisk.UserService",
];

beforeAll(() => {
  if (!existsSync(path.join(clouddiskFolder, "dist/cli.js")))
    throw new Error("not built: run ./autobuild.sh first");
  consulProgram();
  etcdProgram();
});

async function post(url: string, form: Record<string, string>, token?: string): Promise<unknown> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const reply = await fetch(url, { method: "POST", body: new URLSearchParams(form), headers });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${text}`);
  return JSON.parse(text);
}

let users = 0;

/** One user's way: sign up, sign in, upload, list, download. Throws for anything that is not as it should be. */
async function flow(url: string): Promise<void> {
  const form = { username: `user-${++users}`, password };
  expect(await post(`${url}/user/signup`, form)).toMatchObject({ code: 10_000 });
  const signedIn = (await post(`${url}/user/signin`, form)) as { data: { Token: string } };
  const { Token: token } = signedIn.data;
  const headers = { authorization: `Bearer ${token}` };
  const bytes = randomBytes(20_000);
  const fileHash = createHash("sha256").update(bytes).digest("hex");
  const sent = await fetch(`${url}/file/upload?filename=photo.jpg`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/octet-stream" },
    // It is sent again where the gateway says.
    body: new Blob([new Uint8Array(bytes)]),
  });
  expect(await sent.json()).toMatchObject({ code: 0 });
  expect(await post(`${url}/file/query`, { limit: "10" }, token)).toMatchObject([{ FileHash: fileHash }]);
  const got = await fetch(`${url}/file/download?filehash=${fileHash}`, { headers });
  expect(got.status).toBe(200);
  expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
}

/** Users who come one after the other, until it is stopped. */
class Load {
  readonly failures: string[] = [];
  done = 0;
  #running = true;
  readonly #users: Promise<void>[];

  constructor(url: string) {
    this.#users = Array.from({ length: 2 }, async () => {
      while (this.#running) {
        await flow(url).catch((error: unknown) => this.failures.push(String(error)));
        this.done++;
      }
    });
  }

  /** Resolves when it went on for so long, and some users came and went. */
  async goOn(ms: number): Promise<void> {
    const goal = this.done + 4;
    const endMs = performance.now() + ms;
    await eventually("more users", async () => this.done >= goal && performance.now() >= endMs);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#users);
  }
}

/** The services of the disk and how many endpoints each has, as anybody else reads them. */
async function registered(url: string): Promise<Record<string, number>> {
  const registry = openRegistry(url, { snapshotFolder: false, startTimeoutMs: 3000 });
  try {
    const listed = await registry.list();
    const ours = listed.filter(({ service }) => service.startsWith("clouddisk."));
    return Object.fromEntries(ours.map(({ service, endpoints }) => [service, endpoints.length]));
  } finally {
    await registry.close();
  }
}

test.each(kinds)(
  "on three servers of $name: one killed, all killed, all back, and no user notices",
  { timeout: 120_000 },
  async ({ name, options, startAll }) => {
    const servers = await startAll();
    onTestFinished(async () => {
      await Promise.all(servers.map((server) => server.stop()));
    });
    const address = `${servers.map((server) => server.address).join(",")}${options}`;
    const limits = ["--apigw.requestsperminute=1000000"];
    const disk = await scripted([`--registry=${name}`, `--registry_address=${address}`, ...limits]);
    const started = await disk.start("--processes");
    expect(started, started.out).toMatchObject({ code: 0 });
    const url = urlIn(started.out);
    await flow(url);
    const once = Object.fromEntries(services.map((service) => [service, 1]));
    expect(await registered(`${name}://${address}`)).toEqual(once);
    // In the folder registry of one machine there is nothing.
    expect(existsSync(path.join(disk.data, "registry"))).toBe(false);

    const load = new Load(url);
    try {
      await load.goOn(0);
      await servers[0]?.kill();
      // Longer than what a registration that went with it would stay.
      await load.goOn(silentMs + 1000);
      await Promise.all(servers.map((server) => server.kill()));
      await load.goOn(silentMs + 1000);
      await timed(`${name}: all registered again, with the start of the servers`, async () => {
        await Promise.all(servers.map((server) => server.start()));
        await eventually("all registered", async () => {
          expect(await registered(`${name}://${address}`)).toEqual(once);
          return true;
        });
      });
      // Not what was kept of before.
      await load.goOn(silentMs + 1000);
      expect(await registered(`${name}://${address}`)).toEqual(once);
    } finally {
      await load.stop();
    }
    expect(load.failures).toEqual([]);
    await disk.stop();
  },
);
