import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RegistryError } from "../../src/registry/errors.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { ConsulServer, consulProgram } from "../tools/consul.js";
import { watchSecret } from "../tools/leaks/secrets.js";
import { eventually, Recorder } from "../tools/wait.js";
import { freePort } from "../tools/zookeeper.js";
import { registration, shows } from "./conformance.js";

const newToken = (): string => watchSecret(randomUUID());
const [management, writer, noNodes, unknown] = [newToken(), newToken(), newToken(), newToken()];
const users = "fixbug.UserServiceRpc";

let folder: string;
let server: ConsulServer;
let strangers: Array<Server | HttpServer>;
const registries: Registry[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mprpc-refusals-"));
  const run = (...args: string[]) => execFileSync(consulProgram(), args, { cwd: folder, stdio: "ignore" });
  run("tls", "ca", "create");
  run("tls", "cert", "create", "-server", "-additional-ipaddress=127.0.0.1");
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const httpsPort = await freePort();
  const tokens = { master: management, agent: management };
  server = await ConsulServer.start({
    conf: {
      acl: { enabled: true, default_policy: "deny", tokens },
      ...{ cert_file: "FOLDER/cert.pem", key_file: "FOLDER/key.pem" },
      addresses: { https: "127.0.0.1" },
    },
    ports: { https: httpsPort },
    files: { "cert.pem": read("dc1-server-consul-0.pem"), "key.pem": read("dc1-server-consul-0-key.pem") },
  });
  await grant(
    "writer",
    writer,
    'service_prefix "team/" { policy = "write" } node_prefix "" { policy = "read" }',
  );
  await grant("no-nodes", noNodes, 'service_prefix "team/" { policy = "write" }');
  writeFileSync(join(folder, "token"), `${writer}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "wrong-token"), unknown, { mode: 0o600 });
  strangers = [
    createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.2\r\n")),
    createHttpServer((_, response) => response.end("<html>It works!</html>")),
    createHttpServer((_, response) => response.writeHead(404).end("nothing here")),
  ];
  for (const one of strangers) await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
});

afterAll(async () => {
  await Promise.all(registries.map((one) => one.close()));
  for (const one of strangers) one.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** A token with a policy of its own, once the server can make one. */
async function grant(name: string, secret: string, rules: string): Promise<void> {
  const ask = (path: string, body: object) => server.ask(path, { method: "PUT", body, token: management });
  // A server that has just started refuses this until it has seen that all are of its version.
  await eventually("the policy is made", async () => {
    await ask("acl/policy", { Name: name, Rules: rules });
    return true;
  });
  await ask("acl/token", { SecretID: secret, Policies: [{ Name: name }] });
}

function open(rest: string, options: OpenRegistryOptions = {}, address = server.address): Registry {
  const url = `consul://${address}${rest}`;
  const registry = openRegistry(url, { snapshotFolder: false, startTimeoutMs: 1500, ...options });
  registries.push(registry);
  return registry;
}

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

describe.concurrent("consul with access control", { timeout: 60_000 }, () => {
  test("with the right token in a file it works; the registry counts as authenticated", async () => {
    const registry = open(`/team/app?tokenfile=${join(folder, "token")}`);
    expect(registry.authenticated).toBe(true);
    const seen = new Recorder<Snapshot>();
    registry.watch(users, seen.push);
    await seen.until("an empty list, as there is nobody", shows());
    await registry.register(registration(8000));
    await seen.until("8000", shows(8000));
    expect((await registry.list()).map(({ service }) => service)).toEqual([users]);
    await registry.close();
  });

  test("a token Consul does not know", async () => {
    const text =
      /ACL not found; Consul does not know the token; give it with tokenfile=\/file in the registry URL or CONSUL_HTTP_TOKEN/;
    const registry = open(`/team?tokenfile=${join(folder, "wrong-token")}`);
    expect(await troubleOf(registry)).toMatchObject({ code: "denied", message: expect.stringMatching(text) });
    const error = await refusal(registry.register(registration(8000)));
    expect(error).toMatchObject({ code: "denied", message: expect.stringMatching(text) });
    expect(error.message).toMatch(/^cannot register fixbug.UserServiceRpc: /);
    expect(error.message).not.toContain("33333333");
    expect(await refusal(registry.list())).toMatchObject({ code: "denied" });
  });

  test("no token, and a token for another prefix: an empty answer is not taken for an empty list", async () => {
    for (const [rest, token, prefix] of [
      ["/team", undefined, "team/"],
      ["/other", writer, "other/"],
      ["", writer, ""],
      ["/team", noNodes, "team/"],
    ] as const) {
      const registry = open(rest, { consulToken: token });
      const trouble = await troubleOf(registry);
      expect(trouble.code).toBe("denied");
      expect(trouble.message).toContain(`service_prefix "${prefix}" { policy = "read" }`);
      expect(trouble.message).toContain("tokenfile=/file");
      const refused = await refusal(registry.register(registration(8000)));
      expect(refused.code).toBe("denied");
      expect(await refusal(registry.list())).toMatchObject({ code: "denied" });
    }
  });

  test("a datacenter that is not there", async () => {
    const trouble = await troubleOf(open("/team?dc=mars", { consulToken: writer }));
    expect(trouble).toMatchObject({ code: "unreachable", message: expect.stringContaining("change dc=") });
  });

  test("TLS: with its authority it works; each mistake is named", async () => {
    const address = `127.0.0.1:${server.ports.https}`;
    const ca = join(folder, "consul-agent-ca.pem");
    const good = open(`/tls?ca=${ca}`, { consulToken: management }, address);
    await (await good.register(registration(8000))).unregister();
    await good.close();
    const listing = (rest: string, where: string) =>
      refusal(open(rest, { consulToken: management }, where).list());
    expect((await listing("?tls=yes", address)).message).toContain("name the authority that signed");
    expect((await listing("", address)).message).toContain("add tls=yes or ca=/file.pem");
    expect((await listing(`?ca=${ca}`, server.address)).message).toContain("it does not speak TLS");
  });
});

test("a port that speaks something else", { timeout: 60_000 }, async () => {
  const refused = strangers.map((one) => {
    const address = `127.0.0.1:${(one.address() as AddressInfo).port}`;
    return refusal(open("", {}, address).list());
  });
  const [ssh, page, missing] = await Promise.all(refused);
  expect(ssh?.message).toContain("it does not speak HTTP");
  expect(page?.message).toContain("is not the HTTP API of Consul; name the HTTP port");
  expect(missing?.message).toContain("status 404, but is not the HTTP API of Consul");
});

test("a silent port, and another one that works: the second is used", { timeout: 60_000 }, async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port},${server.address}`;
  const first = { random: () => 0, startTimeoutMs: 30_000, consulToken: writer };
  await open("/team?ttl=3s", first, address).list();
  silent.close();
});

test.each([
  ["consul://token@h:8500", "credentials do not belong into the URL"],
  ["consul://h:8500?token=x", "credentials do not belong into the URL"],
  ["consul://h:8500/a b", 'the prefix "a b" is not made of'],
  ["consul://h:8500/a,h2:8500/a", 'the prefix "a,h2:8500/a" is not made of'],
  ["consul://h:8500/%zz", 'the prefix has a "%" that is no escape'],
  ["consul://h:8500?ttl=10ms", "ttl=10ms is not a time of 1000ms or more"],
  ["consul://h:8500?tokenfile=token", "tokenfile=token is not an absolute file name"],
  ["consul://h:8500?tokenfile=/nowhere/token", "tokenfile=/nowhere/token cannot be read: ENOENT"],
  ["consul://h:8500?tls=maybe", "tls=maybe is not yes or no"],
  ["consul://h:8500?dc=a/b", "dc=a/b is not the name of a datacenter"],
  ["consul://h:8500?wait=1s", 'unknown option "wait" (known: tokenfile, dc, ttl'],
])("%s is refused", (url, reason) => {
  const refuse = () => openRegistry(url.replace(" ", "%20"), { snapshotFolder: false });
  expect(refuse).toThrow(RegistryError);
  expect(refuse).toThrow(reason);
  expect(refuse).not.toThrow("token@");
});
