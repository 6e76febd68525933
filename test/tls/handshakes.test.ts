import net from "node:net";
import tls from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ManualClock, settle } from "../../src/testing/index.js";
import { HandshakeGate } from "../../src/transport/tls/handshake-gate.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued } from "./authority.js";
import { startTls } from "./support.js";

const name = "users.example";
let ca: Authority;
let good: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  good = await ca.issue({ dns: [name] });
});

/** The first bytes of a TLS client, whole and honest. */
async function helloBytes(): Promise<Buffer> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const got = new Promise<Buffer>((resolve) =>
    server.once("connection", (socket) => socket.once("data", resolve)),
  );
  const client = tls.connect({ host: "127.0.0.1", port, ALPNProtocols: ["mprpc/2"] });
  client.on("error", () => {});
  const bytes = await got;
  client.destroy();
  server.close();
  return bytes;
}

async function openTo(port: number, localAddress: string): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port, localAddress });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

test("a handshake whose answer lies unread when its second is over makes no room for others", async () => {
  const clock = new ManualClock();
  const limits = { handshakeTimeoutMs: 5000, handshakesMax: 8, handshakesPerAddressMax: 1 };
  const gate = new HandshakeGate(clock, limits);
  const seen: string[] = [];
  const handshake = (name: string) => ({
    begin: () => void seen.push(`${name} begins`),
    drop: () => void seen.push(`${name} is closed`),
  });
  const first = gate.enter("10.0.0.1", handshake("first"));
  gate.enter("10.0.0.1", handshake("second"));
  clock.advance(1000);
  // As its socket would, which is read only now.
  first.leave();
  await settle();
  expect(seen).toEqual(["first begins", "second begins"]);
});

describe("slow handshakes", () => {
  test("1,000 of as many addresses leave room for an honest caller", async () => {
    const { stub, provider } = await startTls(
      { mode: "required", ...good, handshakesMax: 64 },
      { ca: ca.cert, peerName: name },
      { settings: { channel: { connectTimeoutMs: 100_000 }, callTimeoutMs: 100_000 } },
    );
    const hello = await helloBytes();
    const port = provider.address?.port as number;
    const slow: net.Socket[] = [];
    for (let i = 0; i < 1000; i++) {
      const socket = await openTo(port, `127.0.${2 + Math.floor(i / 250)}.${2 + (i % 250)}`);
      // Some say all and then nothing, some stop in the middle.
      socket.write(i % 2 === 0 ? hello : hello.subarray(0, 40));
      slow.push(socket);
    }
    expect((await stub.echo({ text: "honest" })).text).toBe("honest");
    for (const socket of slow) socket.destroy();
  }, 120_000);

  test("end when their time is over, and the log says which limit", async () => {
    const { provider, providerLog } = await startTls(
      { mode: "required", ...good, handshakeTimeoutMs: 100 },
      {},
    );
    const port = provider.address?.port as number;
    const hello = await helloBytes();
    const closed: Array<Promise<unknown>> = [];
    for (const bytes of [hello, hello.subarray(0, 1), Buffer.alloc(0)]) {
      const socket = await openTo(port, "127.0.0.1");
      if (bytes.length > 0) socket.write(bytes);
      closed.push(new Promise((resolve) => socket.once("close", resolve)));
    }
    await Promise.all(closed);
    await eventually("lines in the log", async () => providerLog.at("warn").length >= 2);
    expect(providerLog.at("warn").join("\n")).toContain("not done within 100 ms (tls.handshaketimeout)");
    expect(provider.connections).toBe(0);
  });

  test("do not hold up the end of the provider", async () => {
    const { provider } = await startTls({ mode: "required", ...good }, {});
    const socket = await openTo(provider.address?.port as number, "127.0.0.1");
    socket.write(await helloBytes());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await provider.shutdown();
    await closed;
  });
});

describe("the gate of handshakes", () => {
  const limits = { handshakeTimeoutMs: 5000, handshakesMax: 3, handshakesPerAddressMax: 2 };

  function gateWith() {
    const clock = new ManualClock();
    const events: string[] = [];
    const gate = new HandshakeGate(clock, limits);
    const enter = (id: string, address: string) =>
      gate.enter(address, {
        begin: () => void events.push(`begin ${id}`),
        drop: (reason) => void events.push(`drop ${id}: ${reason.split(",")[0]}`),
      });
    return { clock, events, gate, enter };
  }

  test("lets so many begin, fewer of one address, and the newest next", () => {
    const { events, enter } = gateWith();
    const a1 = enter("a1", "a");
    enter("a2", "a");
    enter("a3", "a");
    enter("b1", "b");
    enter("c1", "c");
    enter("d1", "d");
    expect(events).toEqual(["begin a1", "begin a2", "begin b1"]);
    a1.leave();
    a1.leave();
    expect(events.slice(3)).toEqual(["begin d1"]);
  });

  test("those that have had a second make room for who waits, and each has its time at most", async () => {
    const { clock, events, enter } = gateWith();
    for (const id of ["a", "b", "c"]) enter(id, id);
    await clock.run(3000);
    expect(events.length).toBe(3);
    enter("d", "d");
    await clock.run(1);
    expect(events.slice(3)).toEqual(["drop a: others wait for its place", "begin d"]);
    await clock.run(2500);
    expect(events.slice(5)).toEqual([
      "drop b: not done within 5000 ms (tls.handshaketimeout)",
      "drop c: not done within 5000 ms (tls.handshaketimeout)",
    ]);
  });

  test("those of an address that is at its limit make room for others of it, and nobody else does", async () => {
    const { clock, events, enter } = gateWith();
    for (const id of ["b1", "a1", "a2"]) enter(id, id[0] as string);
    await clock.run(1500);
    events.length = 0;
    for (const id of ["a3", "a4", "a5"]) enter(id, "a");
    await clock.run(1);
    const dropped = (id: string) => `drop ${id}: others of its address wait for its place`;
    expect(events).toEqual([dropped("a1"), "begin a5", dropped("a2"), "begin a4"]);
    events.length = 0;
    await clock.run(1000);
    expect(events).toEqual([dropped("a5"), "begin a3"]);
  });

  test("where one place is free but not for who waits, the others keep theirs", async () => {
    const { clock, events, enter } = gateWith();
    for (const id of ["a1", "a2", "b1", "a3"]) enter(id, id[0] as string);
    await clock.run(1001);
    expect(events.slice(3)).toEqual(["drop a1: others of its address wait for its place", "begin a3"]);
  });

  test("of one address at most 16 times as many wait as may be under way", () => {
    const { events, enter } = gateWith();
    for (let i = 1; i <= 2 + 32; i++) enter(`a${i}`, "a");
    expect(events).toEqual(["begin a1", "begin a2"]);
    enter("a35", "a");
    expect(events.slice(2)).toEqual(["drop a3: others of its address wait for its place"]);
  });

  test("close drops all", () => {
    const { events, gate, enter } = gateWith();
    for (const id of ["a", "b", "c", "d"]) enter(id, id);
    gate.close("closed");
    expect(events.slice(3).sort()).toEqual([
      "drop a: closed",
      "drop b: closed",
      "drop c: closed",
      "drop d: closed",
    ]);
  });
});
