import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { Weather, WeatherStub } from "../../example/polyglot/src/gen/weather.js";
import { weather } from "../../example/polyglot/src/weather.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcProvider } from "../../src/server/provider.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Connection, Transport } from "../../src/transport/transport.js";
import { cleanEnv, mprpc } from "../cli/mprpc.js";
import { Authority, type Issued, writeSecret } from "../tls/authority.js";
import { openTransport, temporaryFolder } from "../tls/support.js";
import { debianLibraries, debianRoot } from "../tools/debian.js";
import { JumpingClock } from "./jumping-clock.js";
import { tcpRuntime } from "./provider.js";

/** The example's programs, with Google's gRPC libraries for Python and C++ as Debian packages them. */
const example = fileURLToPath(new URL("../../example/polyglot/", import.meta.url));
const out = path.join(debianRoot(), "../../polyglot");
const run = promisify(execFile);
const fetchAndCompileMs = 600_000;

beforeAll(async () => {
  await run("sh", [`${example}build.sh`, out]);
}, fetchAndCompileMs);

test("run.sh: Python and C++ call a provider of ours, and our channel a server in C++", async () => {
  const env = {
    ...cleanEnv(),
    POLYGLOT_OUT: out,
    POLYGLOT_NODE: `${process.execPath} --import ${import.meta.resolve("tsx")}`,
  } as NodeJS.ProcessEnv;
  const { stdout } = await run("sh", [`${example}run.sh`], { env });
  const common = (language: string, served: string): string[] =>
    [
      `Now Oslo: 4.5, served ${served}`,
      "Forecast Lima: 20, 21, 22",
      "Record: 3 reports, mean 3",
      "Follow: Lima 19, Oslo 4.5",
      "Now Atlantis: NOT_FOUND, nobody measures at Atlantis",
    ].map((line) => `${language}: ${line}`);
  const [now = "", ...rest] = common("python", "to Python by TypeScript");
  expect(stdout.trim().split("\n")).toEqual([
    ...[now, ...rest.slice(0, 3), "python: Now Lima, compressed: 19", ...rest.slice(3)],
    ...common("c++", "to C++ by TypeScript"),
    ...common("typescript", "to TypeScript by C++"),
  ]);
}, 120_000);

/** The address of the example's server in C++, which runs until the test ends. */
async function cppServer(env: NodeJS.ProcessEnv = {}): Promise<string> {
  const server = spawn(path.join(out, "cpp", "server"), {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  onTestFinished(async () => {
    server.kill();
    await once(server, "close");
  });
  const [line] = (await once(createInterface(server.stdout), "line")) as [string];
  return line.replace("listening on ", "");
}

test("the commands ask a server in C++ by its reflection", async () => {
  const address = await cppServer();
  const listed = await mprpc(["list", address]);
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(listed.out).toContain("Follow(stream weather.Place) returns (stream weather.Report)");
  const called = await mprpc(["call", address, "Weather", "Forecast", '{"name": "Lima"}']);
  expect(called.out.trim().split("\n")).toHaveLength(3);
  const failed = await mprpc(["call", address, "weather.Weather.Now", '{"name": "Atlantis"}']);
  expect(failed.code).toBe(1);
  expect(failed.err).toContain("[not_found] nobody measures at Atlantis");
}, 120_000);

/** The example's callers in Python and C++. */
function callers(): ReadonlyArray<{ file: string; args: string[]; env: NodeJS.ProcessEnv }> {
  const python = path.join(out, "python");
  const PYTHONPATH = `${python}:${debianRoot()}/usr/lib/python3/dist-packages`;
  const env = { ...process.env, PYTHONPATH, LD_LIBRARY_PATH: debianLibraries() };
  return [
    { file: "/usr/bin/python3", args: [path.join(python, "client.py")], env },
    { file: path.join(out, "cpp", "client"), args: [], env },
  ];
}

/** What a program said that failed. */
async function outputOfFailed(ran: Promise<unknown>): Promise<string> {
  const { stdout, stderr } = await ran.then(
    () => expect.unreachable(),
    (error: { stdout: string; stderr: string }) => error,
  );
  return stdout + stderr;
}

/** A certificate for 127.0.0.1 and one for a caller, of one authority and another authority's, in files. */
async function certificates() {
  const folder = temporaryFolder();
  const [ca, stranger] = [await Authority.make(), await Authority.make("Other Authority")];
  const write = async (name: string, { cert, key }: Issued) => {
    const TLS_CERT = path.join(folder, `${name}.pem`);
    writeFileSync(TLS_CERT, cert);
    return { TLS_CERT, TLS_KEY: writeSecret(folder, `${name}.key`, key) };
  };
  const TLS_CA = path.join(folder, "ca.pem");
  writeFileSync(TLS_CA, ca.cert);
  return {
    TLS_CA,
    server: await write("server", await ca.issue({ ips: ["127.0.0.1"] })),
    caller: await write("caller", await ca.issue({ dns: ["caller.example"] })),
    stranger: await write("stranger", await stranger.issue({ dns: ["caller.example"] })),
  };
}

test("behind TLS the same certificates serve Python, C++ and us, and each knows its callers", async () => {
  const files = await certificates();
  const { TLS_CA, server, caller, stranger } = files;
  const identities: Array<string | undefined> = [];
  const transport = openTransport({
    ...{ mode: "required", cert: server.TLS_CERT, key: server.TLS_KEY, ca: TLS_CA, clientAuth: "require" },
  });
  const provider = new RpcProvider(tcpRuntime({}, undefined, { transport })).notifyService(Weather, {
    ...weather,
    now(request, context) {
      identities.push(context.peer.identities.transport);
      return weather.now(request, context);
    },
  });
  const { port } = await provider.start();
  onTestFinished(() => provider.shutdown());
  for (const { file, args, env } of callers()) {
    const call = (own: Record<string, string>) =>
      run(file, [...args, `127.0.0.1:${port}`], { env: { ...env, TLS_CA, ...own } });
    expect((await call(caller)).stdout).toContain("Now Atlantis: NOT_FOUND, nobody measures at Atlantis");
    // Google's libraries connect again, without end and without a word, to a server that only sends GOAWAY.
    expect(await outputOfFailed(call(stranger))).toContain("no authority that is trusted here (tls.ca)");
    expect(await outputOfFailed(call({}))).toContain("shows no certificate");
  }
  expect(new Set(identities)).toEqual(new Set(["dns:caller.example"]));

  const address = await cppServer({ TLS_CA, ...server });
  const channelOf = (own: { TLS_CERT: string; TLS_KEY: string }) => {
    const options = { ca: TLS_CA, cert: own.TLS_CERT, key: own.TLS_KEY };
    const app = tcpRuntime({}, `static://grpc://${address}`, { transport: openTransport(options) });
    const channel = new RpcChannel(app);
    onTestFinished(() => channel.close());
    return new WeatherStub(channel);
  };
  expect((await channelOf(caller).now({ name: "Lima" })).place).toBe("Lima");
  await expect(channelOf(stranger).now({ name: "Lima" })).rejects.toMatchObject({ codeName: "UNAVAILABLE" });
}, 120_000);

test("over the limit of connections Python and C++ are told so, and not left to connect again and again", async () => {
  const app = tcpRuntime({ provider: { connectionsMax: 1 } });
  const provider = new RpcProvider(app).notifyService(Weather, weather);
  onTestFinished(() => provider.shutdown());
  const { port } = await provider.start();
  const first = new RpcChannel(tcpRuntime({}, `static://127.0.0.1:${port}`));
  onTestFinished(() => first.close());
  await new WeatherStub(first).now({ name: "Lima" });
  for (const { file, args, env } of callers()) {
    const called = run(file, [...args, `127.0.0.1:${port}`], { env });
    expect(await outputOfFailed(called)).toContain("1 connections are open (provider.maxconnections)");
  }
}, 120_000);

/** TCP that notes what comes on each connection, as latin1. */
function notingTransport(clock: JumpingClock): { transport: Transport; received: string[] } {
  const tcp = tcpTransport(clock);
  const received: string[] = [];
  const connect: Transport["connect"] = async (...to) => {
    const connection: Connection = await tcp.connect(...to);
    const at = received.push("") - 1;
    const setHandler = connection.setHandler.bind(connection);
    connection.setHandler = (handler) => {
      const { onData } = handler;
      handler.onData = (chunk) => {
        received[at] += chunk.toString("latin1");
        onData.call(handler, chunk);
      };
      setHandler(handler);
    };
    return connection;
  };
  return { transport: { ...tcp, connect }, received };
}

test("a stock server in C++ that gets too many pings hangs up, and no call fails", async () => {
  const address = await cppServer();
  const clock = new JumpingClock(systemClock);
  onTestFinished(() => clock.stop());
  const { transport, received } = notingTransport(clock);
  const settings = { channel: { grpcPingIntervalMs: 300_000 }, keepalive: { timeoutMs: 60_000 } };
  const app = tcpRuntime(settings, `static://grpc://${address}`, { transport, clock });
  const channel = new RpcChannel(app);
  onTestFinished(() => channel.close());
  const stub = new WeatherStub(channel);
  const call = () => stub.now({ name: "Lima" }, { timeoutMs: Infinity });
  expect((await call()).place).toBe("Lima");
  // Google's library allows a ping every five minutes with calls, every two hours without, and forgives two.
  for (let pings = 1; !received[0]?.includes("too_many_pings"); pings++) {
    expect(pings).toBeLessThan(8);
    const before = received[0]?.length ?? 0;
    clock.jump(301_000);
    await expect.poll(() => received[0]?.length ?? 0, { timeout: 20_000 }).toBeGreaterThan(before);
  }
  for (let i = 0; i < 20; i++) expect((await call()).place).toBe("Lima");
  expect(received).toHaveLength(2);
  // Half as often now: the time after which a ping was due before brings none.
  const before = received[1]?.length ?? 0;
  clock.jump(301_000);
  expect((await call()).place).toBe("Lima");
  expect(received[1]?.slice(before)).not.toContain("mprpc:ka");
}, 120_000);
