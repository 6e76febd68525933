// What an honest caller sees of a provider while another caller behaves badly, and what the provider's memory does.
// `node --import tsx test/fairness/main.ts [NAME...]` plays each of the cases, or those named.
import { readFileSync } from "node:fs";
import net from "node:net";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import type { RpcError } from "../../src/index.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { Blob, ProbeServiceStub } from "../support/gen/probe.js";
import { callFrame, callId, echoNames, settingsFrame } from "../support/raw-peer.js";
import { startScript } from "../tools/child.js";

const MiB = 2 ** 20;
/** How long each case goes on, at the least. */
const windowMs = 5000;

/** The bad caller: what it has done when it is done. */
type Attack = (
  port: number,
  channelTo: (timeoutMs: number, settings?: SettingsInit) => RpcChannel,
) => Promise<string>;

async function connect(port: number, reads: boolean): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  if (reads) socket.resume();
  else socket.pause();
  await new Promise<void>((resolve) => void socket.once("connect", () => resolve()));
  return socket;
}

const asking = (id: number, text: string, timeoutMs = -1): Buffer =>
  callFrame({ id, index: 1, timeoutMs, rare: echoNames, body: { text } });

function announcement(id: number): Buffer {
  const encoder = new FrameEncoder();
  encoder.beginCall(id, 1, -1, echoNames, 1);
  encoder.writer.raw(Buffer.alloc(100));
  encoder.endBody();
  encoder.detachBody();
  return encoder.writer.finish();
}

/** How the calls of a burst ended, by code. */
async function burst(channel: RpcChannel, count: number, text: string): Promise<string> {
  const stub = new ProbeServiceStub(channel);
  await stub.echo({ text: "warm" });
  const startMs = performance.now();
  const ended = await Promise.all(
    Array.from({ length: count }, async () => {
      const code = await stub.echo({ text }).then(
        () => "OK",
        (error: RpcError) => `${error.codeName}/${error.executed}`,
      );
      return { code, ms: performance.now() - startMs };
    }),
  );
  const codes: Record<string, number> = {};
  for (const { code } of ended) codes[code] = (codes[code] ?? 0) + 1;
  return `${JSON.stringify(codes)}, the last after ${Math.round(Math.max(...ended.map(({ ms }) => ms)))} ms`;
}

const attacks: Record<string, Attack> = {
  async announced(port) {
    const socket = await connect(port, true);
    socket.write(settingsFrame());
    const frames = Array.from({ length: 65_536 }, (_, i) => announcement(callId(i + 1)));
    socket.write(Buffer.concat(frames));
    return `${frames.length} calls announced, none sent`;
  },
  async unread(port) {
    const socket = await connect(port, false);
    const frames = Array.from({ length: 899 }, (_, i) => asking(callId(i + 1), `bytes ${MiB}`));
    socket.write(Buffer.concat([settingsFrame(), ...frames]));
    return "899 replies of 1 MiB asked for, none read";
  },
  async oneway(port) {
    const frames = Buffer.concat([
      settingsFrame(),
      ...Array.from({ length: 100_000 }, () => asking(0, "sleep 60000")),
    ]);
    const sockets = await Promise.all([connect(port, true), connect(port, true), connect(port, true)]);
    for (const socket of sockets) socket.write(frames);
    return "3 x 100,000 oneway calls of a slow handler";
  },
  async onewaybusy(port) {
    const frames = Buffer.concat([
      settingsFrame(),
      ...Array.from({ length: 1000 }, () => asking(0, "busy 5")),
    ]);
    const sockets = await Promise.all([connect(port, true), connect(port, true), connect(port, true)]);
    for (const socket of sockets) socket.write(frames);
    return "3 x 1,000 oneway calls of a handler that is busy for 5 ms";
  },
  async classic(port) {
    const body = encodeMessage(Blob, { text: `bytes ${MiB}` });
    const request = writeClassicRequest("framed", "ProbeService", "Echo", (writer) => writer.raw(body));
    for (let i = 0; i < 4; i++) {
      const socket = await connect(port, false);
      socket.write(Buffer.concat(Array.from({ length: 1000 }, () => request)));
    }
    return "4 x 1,000 pipelined classic requests of 1 MiB, none read";
  },
  async classicheld(port) {
    const request = (text: string): Buffer => {
      const body = encodeMessage(Blob, { text });
      return writeClassicRequest("framed", "ProbeService", "Echo", (writer) => writer.raw(body));
    };
    const behind = Array.from({ length: 127 }, () => request(`bytes ${4 * MiB - 100}`));
    for (let i = 0; i < 4; i++) {
      const socket = await connect(port, true);
      socket.write(Buffer.concat([request("sleep 60000"), ...behind]));
    }
    return "4 x 127 classic replies of 4 MiB behind one that is late";
  },
  burst: (_port, channelTo) => burst(channelTo(1500), 60, "busy 100"),
  pings: (_port, channelTo) =>
    burst(channelTo(60_000, { keepalive: { intervalMs: 2000, timeoutMs: 4000 } }), 200, "busy 50"),
};

async function play(name: string, attack: Attack): Promise<void> {
  const child = startScript(new URL("provider-process.ts", import.meta.url));
  const port = Number((await child.line(/^listening /)).split(" ")[1]);
  const channelTo = (timeoutMs: number, settings: SettingsInit = {}): RpcChannel => {
    const registry = new StaticRegistry(`static://127.0.0.1:${port}`);
    const runtime = createRuntime({ transport: tcpTransport(systemClock), registry, settings });
    return new RpcChannel(runtime, { timeoutMs });
  };
  const rssBytes = (): number => {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  };
  const honest = new ProbeServiceStub(channelTo(60_000));
  for (let i = 0; i < 50; i++) await honest.echo({ number: i });
  const before = rssBytes();
  let done: string | undefined;
  const attacked = attack(port, channelTo).then((what) => {
    done = what;
  });
  const refused: Record<string, number> = {};
  let [served, longestMs, most] = [0, 0, before];
  const startMs = performance.now();
  while (done === undefined || performance.now() - startMs < windowMs) {
    const sentMs = performance.now();
    await honest.echo({ number: served }).then(
      () => served++,
      (error: RpcError) => {
        refused[error.codeName] = (refused[error.codeName] ?? 0) + 1;
      },
    );
    longestMs = Math.max(longestMs, performance.now() - sentMs);
    most = Math.max(most, rssBytes());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await attacked;
  const rss = `RSS ${Math.round(before / MiB)} -> ${Math.round(most / MiB)} MiB`;
  const calls = `${served} honest calls${Object.keys(refused).length > 0 ? `, refused ${JSON.stringify(refused)}` : ""}`;
  console.log(`${name}: ${done}. ${calls}, the longest took ${Math.round(longestMs)} ms; ${rss}`);
  await child.kill();
}

const named = process.argv.slice(2);
const unknown = named.filter((name) => !Object.hasOwn(attacks, name));
if (unknown.length > 0) {
  console.error(`no such case: ${unknown.join(", ")}; there are ${Object.keys(attacks).join(", ")}`);
  process.exit(2);
}
for (const [name, attack] of Object.entries(attacks)) {
  if (named.length === 0 || named.includes(name)) await play(name, attack);
}
process.exit(0);
