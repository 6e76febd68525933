import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WeatherStub } from "../../example/polyglot/src/gen/weather.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Connection, Transport } from "../../src/transport/transport.js";
import { cleanEnv, mprpc } from "../cli/mprpc.js";
import { debianRoot } from "../tools/debian.js";
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
async function cppServer(): Promise<string> {
  const server = spawn(path.join(out, "cpp", "server"), { stdio: ["ignore", "pipe", "inherit"] });
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
