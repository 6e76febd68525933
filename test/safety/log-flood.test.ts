import net from "node:net";
import { expect, test } from "vitest";
import { LimitedLog } from "../../src/log/limited-log.js";
import { writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { RpcProvider } from "../../src/server/provider.js";
import { ManualClock } from "../../src/testing/index.js";
import { Cluster } from "../support/cluster.js";
import { ProbeService } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";
import { Authority } from "../tls/authority.js";
import { openTransport } from "../tls/support.js";
import { eventually } from "../tools/wait.js";

const strangers = 100;

test("a limited log writes twenty lines a second and tells how many more there were", () => {
  const [clock, log] = [new ManualClock(), new RecordingLog()];
  const limited = new LimitedLog(clock, log, (more) => `refused: ${more} more`);
  for (let i = 0; i < 25; i++) limited.warn(`refused: ${i}`);
  expect(log.at("warn")).toHaveLength(20);
  clock.advance(1000);
  expect(log.at("warn").slice(20)).toEqual(["refused: 5 more"]);
  limited.error("refused again");
  expect(log.at("error")).toEqual(["refused again"]);
  for (let i = 0; i < 20; i++) limited.warn("once more");
  limited.close();
  expect(log.at("warn").at(-1)).toBe("refused: 1 more");
  expect(clock.timers).toBe(0);
});

/** Opens connections that each say `bytes` and are gone when they have been answered, or ended. */
async function flood(port: number, bytes: Buffer | string, ends: boolean): Promise<void> {
  for (let i = 0; i < strangers; i++) {
    const socket = net.connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume().write(bytes);
    if (ends) socket.end();
    await closed;
  }
}

async function listen(log: RecordingLog, secured: boolean): Promise<number> {
  const cluster = new Cluster({ tcp: true });
  const issued = secured ? await (await Authority.make()).issue({ dns: ["users.example"] }) : undefined;
  const transport =
    issued === undefined ? {} : { transport: openTransport({ mode: "required", ...issued }, log) };
  const provider = new RpcProvider(cluster.runtime({ log, ...transport })).notifyService(ProbeService, {
    echo: (request) => request,
    relay: (request) => request,
    note: (request) => request,
  });
  cluster.onClose(() => provider.shutdown());
  return (await provider.start()).port;
}

test.each([
  {
    what: "handshakes that are none",
    secured: true,
    bytes: "GET / HTTP/1.1\r\n\r\n",
    line: /^(connection refused|http caller refused|.* caller refused|TLS handshake refused)/,
  },
  {
    what: "handshakes that break off",
    secured: true,
    bytes: "\x16\x03\x01\x00\x05hello",
    line: /^TLS handshake refused/,
  },
  {
    what: "bytes of no protocol",
    secured: false,
    bytes: "\xff\xfe no protocol at all\n",
    line: /^connection refused/,
  },
  {
    what: "classic calls of unknown services",
    secured: false,
    bytes: writeClassicRequest("framed", "Nobody", "Knows", () => {}),
    line: /^classic call refused/,
  },
])("a flood of $what fills no log", async ({ secured, bytes, line }) => {
  const log = new RecordingLog();
  const port = await listen(log, secured);
  const sent = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  await flood(port, sent, secured);
  const lines = () => log.at("warn").filter((text) => line.test(text));
  await eventually(`lines of ${line}`, async () => lines().some((text) => text.endsWith(" more")));
  expect(lines().length).toBeLessThan(strangers);
  const told = lines().reduce((sum, text) => sum + Number(/(\d+) more$/.exec(text)?.[1] ?? 1), 0);
  expect(told).toBeLessThanOrEqual(strangers);
});
