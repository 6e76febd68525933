import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { cleanEnv } from "../cli/mprpc.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { guarded } from "../tools/wait.js";

let folder: string;
let conf: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-example-"));
  conf = path.join(folder, "mprpc.conf");
  await writeFile(conf, `rpcserverport=0\nregistry=file:${path.join(folder, "registry")}\ncalltimeout=10s\n`);
});

const children: Child[] = [];

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await rm(folder, { recursive: true, force: true });
});

function start(example: "callee" | "caller", ...args: string[]): Child {
  const child = new Child(
    process.execPath,
    [compiled(`example/${example}/src/main.ts`), ...args],
    cleanEnv() as NodeJS.ProcessEnv,
  );
  children.push(child);
  return child;
}

/** Resolves with its exit code, or the signal it died of, all its output read. */
async function ended(child: Child): Promise<number | string | null> {
  const { process } = child;
  const gone = () => process.exitCode ?? process.signalCode;
  if (gone() === null) await guarded(once(process, "close"), "the process ends", () => child.output);
  return gone();
}

/** Where the provider said it listens. */
async function address(provider: Child): Promise<string> {
  return (await provider.line(/^listening on /)).replace("listening on ", "");
}

const unaryReplies = [
  "Login zhang san: ok, success true",
  "Login zhang san with a wrong password: errcode 1, wrong name or password, success false",
  expect.stringMatching(/^Register zhang duoduo \d+: ok, success true$/),
  "GetFriendsList of user 1: ok, zhang san, li si, wang wu",
];
const replies = [
  ...unaryReplies,
  "UploadAvatar of user 1: ok, 100000 bytes",
  "WatchFriends of user 1: zhang san is online",
  "WatchFriends of user 1: li si is online",
];

test("the consumer finds the provider in the registry, calls every method, and ends with 0", async () => {
  const provider = start("callee", "-i", conf);
  expect(await address(provider)).toMatch(/^127\.0\.0\.1:\d+$/);
  for (let run = 0; run < 2; run++) {
    const consumer = start("caller", "-i", conf);
    expect(await ended(consumer)).toBe(0);
    expect(consumer.output.trimEnd().split("\n")).toEqual(replies);
  }
});

test("without a registry service: a static address is enough", async () => {
  const provider = start("callee", "-i", conf, "--registry=static://127.0.0.1:1");
  const consumer = start("caller", "-i", conf, `--registry=static://${await address(provider)}`);
  expect(await ended(consumer)).toBe(0);
  expect(consumer.output.trimEnd().split("\n")).toEqual(replies);
});

test("a classic endpoint is called just the same, as far as it goes", async () => {
  const provider = start("callee", "-i", conf);
  const registry = `--registry=static://${await address(provider)}?protocol=classic`;
  const consumer = start("caller", "-i", conf, registry);
  expect(await ended(consumer)).toBe(0);
  expect(consumer.output.trimEnd().split("\n")).toEqual([
    ...unaryReplies,
    "UploadAvatar, WatchFriends: this provider has no streams",
  ]);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s drains the provider: it leaves the registry and ends with 0",
  async (signal) => {
    const provider = start("callee", "-i", conf);
    await address(provider);
    await provider.kill(signal);
    expect(await ended(provider)).toBe(0);
    expect(provider.output).toContain(`${signal}: draining`);
    const consumer = start("caller", "-i", conf);
    expect(await ended(consumer)).toBe(1);
    expect(consumer.output).toMatch(
      /^consumer: \[unavailable\] no provider of fixbug\.UserServiceRpc in registry file:.*\n$/,
    );
  },
);

test("a consumer that meets nobody at the address says so in one line and ends with 1", async () => {
  const consumer = start("caller", "-i", conf, "--registry=static://127.0.0.1:1");
  expect(await ended(consumer)).toBe(1);
  expect(consumer.output).toMatch(/^consumer: \[unavailable\] .*ECONNREFUSED.*\n$/);
});

test("a provider that cannot start says why in one line and ends with 1", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => {
    taken.close();
  });
  const { port } = taken.address() as { port: number };
  for (const [args, text] of [
    [["-i", conf, `--rpcserverport=${port}`], /^provider: .*EADDRINUSE/],
    [["-i", path.join(folder, "missing.conf")], /^provider: .*expected a readable conf file/],
    [["-i", conf, "--registry=nowhere:"], /^provider: .*registry/],
  ] as const) {
    const provider = start("callee", ...args);
    expect(await ended(provider)).toBe(1);
    expect(provider.output).toMatch(text);
    expect(provider.output.trimEnd().split("\n")).toHaveLength(1);
  }
});

test("the consumer calls the provider over mutual TLS, with certificates made for it, and nobody without", async () => {
  const maker = new Child(process.execPath, ["scripts/make-certificates.mjs", folder], process.env);
  children.push(maker);
  expect(await ended(maker)).toBe(0);
  const file = (name: string): string => path.join(folder, name);
  const own = (name: string): string[] => [
    `--tls.ca=${file("ca.crt")}`,
    `--tls.cert=${file(`${name}.crt`)}`,
    `--tls.key=${file(`${name}.key`)}`,
  ];
  const provider = start(
    "callee",
    "-i",
    conf,
    "--tls.mode=required",
    "--tls.clientauth=require",
    ...own("provider"),
  );
  await address(provider);
  const caller = start("caller", "-i", conf, "--tls.peername=provider.example", ...own("caller"));
  expect(await ended(caller)).toBe(0);
  const stranger = start(
    "caller",
    "-i",
    conf,
    `--tls.ca=${file("ca.crt")}`,
    "--tls.peername=provider.example",
  );
  expect(await ended(stranger)).toBe(1);
  expect(stranger.output).toContain("shows no certificate");
  const clear = start("caller", "-i", conf);
  expect(await ended(clear)).toBe(1);
  expect(clear.output).toContain("this port speaks TLS only");
});
