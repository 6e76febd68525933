import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RegistryError } from "../../src/registry/errors.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { Authority } from "../tls/authority.js";
import { base64, EtcdServer } from "../tools/etcd.js";
import { noteLeak } from "../tools/leaks/notes.js";
import { canary } from "../tools/leaks/secrets.js";
import { eventually, Recorder } from "../tools/wait.js";
import { registration, shows } from "./conformance.js";

const users = "fixbug.UserServiceRpc";
const writer = canary();

let folder: string;
let server: EtcdServer;
let strangers: Server[];
const registries: Registry[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mprpc-refusals-"));
  // Tokens that are not used for a second are forgotten.
  server = await EtcdServer.start(["--auth-token-ttl", "1"]);
  await server.ask("auth/role/add", { name: "team" });
  const range = { permType: "READWRITE", key: base64("/team/"), range_end: base64("/team0") };
  await server.ask("auth/role/grant", { name: "team", perm: range });
  await server.ask("auth/user/add", { name: "writer", password: writer });
  await server.ask("auth/user/grant", { user: "writer", role: "team" });
  await server.ask("auth/user/add", { name: "root", password: canary() });
  await server.ask("auth/user/grant", { user: "root", role: "root" });
  await server.ask("auth/enable");
  writeFileSync(join(folder, "password"), `${writer}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "wrong"), `${canary()}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "empty"), "\n");
  strangers = [
    createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.2\r\n")),
    createHttpServer((_, response) => response.end("<html>It works!</html>")),
  ];
  for (const one of strangers) await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
});

afterAll(async () => {
  await Promise.all(registries.map((one) => one.close()));
  for (const one of strangers) one.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

function open(rest: string, options: OpenRegistryOptions = {}, address = server.address): Registry {
  const url = `etcd://${address}${rest}`;
  const registry = openRegistry(url, { snapshotFolder: false, startTimeoutMs: 20_000, ...options });
  registries.push(registry);
  return registry;
}

const asWriter = (prefix: string, password = "password") =>
  `${prefix}?user=writer&passwordfile=${join(folder, password)}`;

async function refusal(registering: Promise<unknown>): Promise<RegistryError> {
  const error = await registering.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RegistryError);
  return error as RegistryError;
}

async function troubleOf(registry: Registry): Promise<RegistryError> {
  const troubles = new Recorder<RegistryError>();
  registry.watch(users, () => {}, troubles.push);
  return troubles.until("a trouble", () => true);
}

describe.concurrent("etcd with access control", { timeout: 60_000 }, () => {
  test("with the right password it works, also when the token is forgotten; it counts as authenticated", async () => {
    const registry = open(asWriter("/team/app"));
    expect(registry.authenticated).toBe(true);
    const seen = new Recorder<Snapshot>();
    registry.watch(users, seen.push);
    await seen.until("an empty list, as there is nobody", shows());
    await registry.register(registration(8000));
    await seen.until("8000", shows(8000));
    // A token lives for a second after its last use.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await registry.register(registration(8001));
    await seen.until("both", shows(8000, 8001));
    expect((await registry.list()).map(({ service }) => service)).toEqual([users]);
    await registry.close();
  });

  test("a wrong password", async () => {
    const text = /authentication failed.*change user= or the file of passwordfile=/;
    const registry = open(asWriter("/team", "wrong"));
    expect(await troubleOf(registry)).toMatchObject({ code: "denied", message: expect.stringMatching(text) });
    const error = await refusal(registry.register(registration(8000)));
    expect(error).toMatchObject({ code: "denied", message: expect.stringMatching(text) });
    expect(error.message).toMatch(/^cannot register fixbug.UserServiceRpc: /);
    noteLeak("the error of a wrong password", error);
    expect(await refusal(registry.list())).toMatchObject({ code: "denied" });
  });

  test("nobody, and a prefix the user may not touch", async () => {
    const nobody = open("/team");
    expect(nobody.authenticated).toBe(false);
    expect((await troubleOf(nobody)).message).toContain("etcd asks who you are");
    expect(await refusal(nobody.register(registration(8000)))).toMatchObject({ code: "denied" });
    const other = open(asWriter("/other"));
    const error = await refusal(other.register(registration(8000)));
    expect(error.code).toBe("denied");
    expect(error.message).toContain("etcdctl role grant-permission ROLE readwrite --prefix=true /other/");
    expect((await troubleOf(other)).code).toBe("denied");
    expect(await refusal(other.list())).toMatchObject({ code: "denied" });
  });
});

describe.concurrent("what does not answer as etcd", { timeout: 60_000 }, () => {
  test("a port that speaks something else, and one where nobody is", async () => {
    const listing = async (address: string) => {
      const error = await refusal(open("", { startTimeoutMs: 1500 }, address).list());
      expect(error.code).toBe("unreachable");
      return error.message;
    };
    const of = (one: Server) => `127.0.0.1:${(one.address() as AddressInfo).port}`;
    const texts = await Promise.all([...strangers.map((one) => listing(of(one))), listing("127.0.0.1:1")]);
    expect(texts[0]).toContain("it does not speak gRPC");
    expect(texts[1]).toContain("name the client port of etcd, which is 2379 by default");
    expect(texts[2]).toContain("ECONNREFUSED");
  });

  test("a silent one and one that works: the second is used", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port},${server.address}`;
    const registry = open(`${asWriter("/team/silent")}&ttl=3s`, { random: () => 0 }, address);
    await eventually("the list", async () => (await registry.list()).length === 0);
    silent.close();
  });
});

test("TLS: with its authority, and a certificate where it asks for one, it works; mistakes are named", {
  timeout: 120_000,
}, async () => {
  const authority = await Authority.make();
  const files = { ca: authority.cert, ...(await authority.issue({ ips: ["127.0.0.1"] })) };
  const at = (name: keyof typeof files) => join(folder, `${name}.pem`);
  for (const name of ["ca", "cert", "key"] as const) writeFileSync(at(name), files[name], { mode: 0o600 });
  const secure = await EtcdServer.start([
    ...[`--cert-file=${at("cert")}`, `--key-file=${at("key")}`],
    ...[`--trusted-ca-file=${at("ca")}`, "--client-cert-auth"],
  ]);
  try {
    const { address } = secure;
    const good = open(`/tls?ca=${at("ca")}&cert=${at("cert")}&key=${at("key")}`, {}, address);
    await (await good.register(registration(8000))).unregister();
    await good.close();
    const failure = async (rest: string, where: string) =>
      (await refusal(open(rest, { startTimeoutMs: 3000 }, where).list())).message;
    expect(await failure("", address)).toContain("add tls=yes or ca=/file.pem");
    expect(await failure("?tls=yes", address)).toContain("handshake");
    expect(await failure(`?ca=${at("ca")}`, server.address)).toContain("handshake");
  } finally {
    await secure.stop();
  }
});

test.each([
  ["etcd://root:secret@h:2379", "credentials do not belong into the URL"],
  ["etcd://h:2379?password=secret", "credentials do not belong into the URL"],
  ["etcd://h:2379?user=root", "user= and passwordfile= go together"],
  ["etcd://h:2379?passwordfile=FOLDER/password", "user= and passwordfile= go together"],
  ["etcd://h:2379?user=a&passwordfile=FOLDER/empty", "empty does not hold one line"],
  ["etcd://h:2379?user=a&passwordfile=/nowhere/password", "cannot be read: ENOENT"],
  ["etcd://h:2379?user=a&passwordfile=password", "passwordfile=password is not an absolute file name"],
  ["etcd://h:2379/a%20b", 'the prefix "a b" is not made of'],
  ["etcd://h:2379/%zz", 'the prefix has a "%" that is no escape'],
  ["etcd://h:2379?ttl=1s", "ttl=1s is not a time of 2000ms or more"],
  ["etcd://h:2379?tls=maybe", "tls=maybe is not yes or no"],
  ["etcd://h:2379?cert=/a.pem", "cert= and key= go together"],
  ["etcd://h:2379?ca=/nowhere/ca.pem", "/nowhere/ca.pem"],
  ["etcd://h:2379?wait=1s", 'unknown option "wait" (known: user, passwordfile, ttl'],
])("%s is refused", (url, reason) => {
  const refuse = () => openRegistry(url.replace("FOLDER", folder), { snapshotFolder: false });
  expect(refuse).toThrow(RegistryError);
  expect(refuse).toThrow(reason);
  expect(refuse).not.toThrow("secret");
});
