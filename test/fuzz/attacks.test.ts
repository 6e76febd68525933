import { expect, test } from "vitest";
import { Status } from "../../src/error/status.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind, settingsUnknown } from "../../src/protocol/mprpc/wire/header.js";
import { callFrame, callId, controlFrame, settingsFrame } from "../support/raw-peer.js";
import { Attacked, Evil, MiB, repeated } from "./attack-kit.js";
import { varint } from "./mutations.js";

const nothing = Buffer.alloc(0);
const toil = { serviceName: "fuzz.ZooService", methodName: "Toil" };
const ping = controlFrame(Kind.PING, 0, { pingId: 1 });

/** Resolves when the provider has come to the end of what `evil` said. */
async function readToTheEnd(evil: Evil): Promise<void> {
  evil.heard.length = 0;
  await evil.write(ping);
  await evil.until("a pong", () => evil.heard.some(({ kind }) => kind === Kind.PONG) || evil.closed);
}

test("endless pings whose answers are not read: the provider stops reading", async () => {
  await using attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port, false);
  await evil.write(settingsFrame());
  // More than the buffers of both systems take: the last of it is never read.
  const { grownBytes, result } = await attacked.under(() => evil.fill(repeated(ping, 100_000), 128 * MiB));
  expect(result).toBeLessThan(64 * MiB);
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

test("rapid reset: calls that are cancelled at once count until their handlers return", async () => {
  await using attacked = await Attacked.start({ provider: { inFlightPerConnectionMax: 1000 } });
  const evil = await Evil.connect(attacked.port);
  const reset = Buffer.concat([
    callFrame({ id: callId(1), index: 1, rare: toil, body: nothing }),
    controlFrame(Kind.CANCEL, callId(1)),
  ]);
  await evil.write(settingsFrame());
  const { grownBytes } = await attacked.under(() =>
    evil.write(repeated(reset, 5_000)).then(() => readToTheEnd(evil)),
  );
  const { toiling, inFlight } = await attacked.stats();
  expect(toiling).toBe(1000);
  expect(inFlight).toBe(1);
  await evil.write(callFrame({ id: callId(2), index: 1, body: nothing }));
  expect(await evil.reply(callId(2))).toMatchObject({
    status: Status.RESOURCE_EXHAUSTED,
    message:
      "1000 calls are in flight on this connection, 1000 of them given up and still in their handlers, the limit (provider.maxinflightperconnection)",
  });
  expect(grownBytes).toBeLessThan(60 * MiB);
  // When they have returned there is room again.
  await attacked.zoo.release({});
  await evil.write(callFrame({ id: callId(3), index: 1, body: nothing }));
  await attacked.until("the call runs", (stats) => stats.toiling === 1);
}, 120_000);

test("rapid reset from connection to connection: the provider's own limit holds", async () => {
  await using attacked = await Attacked.start({
    provider: { inFlightMax: 500, inFlightPerConnectionMax: 100 },
  });
  const calls = Array.from({ length: 100 }, (_, i) =>
    callFrame({ id: callId(i + 1), index: 1, rare: toil, body: nothing }),
  );
  for (let i = 0; i < 8; i++) {
    const evil = await Evil.connect(attacked.port);
    await evil.write(Buffer.concat([settingsFrame(), ...calls]));
    await readToTheEnd(evil);
    evil.socket.resetAndDestroy();
  }
  // Honest callers are refused while the limit is met, by name; nothing grows.
  const refused = await attacked.zoo.echo({}).catch(String);
  expect(refused).toContain("500 calls are in flight, 500 of them given up and still in their handlers");
  expect(refused).toContain("(provider.maxinflight)");
}, 120_000);

test("a flood of oneway calls keeps no more handlers busy than calls that are answered", async () => {
  await using attacked = await Attacked.start({ provider: { inFlightPerConnectionMax: 1000 } });
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  const oneway = callFrame({ id: 0, index: 1, rare: toil, body: nothing });
  const { grownBytes } = await attacked.under(() =>
    evil.write(repeated(oneway, 5_000)).then(() => readToTheEnd(evil)),
  );
  expect((await attacked.stats()).toiling).toBe(1000);
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

test("65,536 messages are announced and given up: no frame costs more than another", async () => {
  await using attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  // A oneway CALL with a message of five bytes to come, first of no method; CHUNK, status CANCELLED.
  const ofNoMethod = Buffer.from("05000000 2001 a00105".replaceAll(" ", ""), "hex");
  const announced = announcement(0);
  const givenUp = Buffer.from("04000000 200b 4001".replaceAll(" ", ""), "hex");
  const { grownBytes } = await attacked.under(async () => {
    for (let round = 0; round < 2; round++) {
      await evil.write(repeated(ofNoMethod, 65_536));
      await evil.write(repeated(Buffer.concat([announced, givenUp]), 65_536));
      await readToTheEnd(evil);
    }
  });
  expect(evil.closed).toBe(false);
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

/** A CALL of Echo whose message of five bytes is to come in chunks. */
function announcement(id: number): Buffer {
  const encoder = new FrameEncoder();
  encoder.beginCall(id, 0, -1, { serviceName: "fuzz.ZooService", methodName: "Echo" }, 1);
  encoder.announceBody(5);
  return encoder.writer.finish();
}

test("calls whose messages never come take no place of a call that runs, and few of those that arrive", async () => {
  await using attacked = await Attacked.start({ provider: { inFlightMax: 2000 } });
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  const announced = Buffer.concat(Array.from({ length: 2000 }, (_, i) => announcement(callId(i + 1))));
  const { grownBytes } = await attacked.under(async () => {
    await evil.write(announced);
    await readToTheEnd(evil);
  });
  expect(evil.closed).toBe(false);
  expect(grownBytes).toBeLessThan(60 * MiB);
  const refused = evil.heard.filter(({ status }) => status === Status.RESOURCE_EXHAUSTED);
  // limits.arriving lets 64 in.
  expect(refused).toHaveLength(2000 - 64);
  expect(refused[0]?.message).toContain("64 messages in chunks are arriving on this connection");
  expect(refused[0]?.message).toContain("(limits.arriving)");
  // None of them is in a handler, and an honest caller has all places.
  expect((await attacked.zoo.echo({ name: "lion" })).name).toBe("lion");
}, 120_000);

test("slow-loris: 300 callers that never end their first frame are reset after 5 s", async () => {
  await using attacked = await Attacked.start();
  const evils = await Promise.all(Array.from({ length: 300 }, () => Evil.connect(attacked.port)));
  // A third each: a header of mprpc/2, one of classic, nothing at all.
  const begins = [Buffer.from("00f0000020", "hex"), Buffer.from("00f000000a", "hex"), nothing];
  const trickle = async (): Promise<void> => {
    for (const [i, evil] of evils.entries()) await evil.write(begins[i % 3] as Buffer);
    while (evils.some((evil) => !evil.closed)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const [i, evil] of evils.entries())
        if (i % 3 < 2 && !evil.closed) evil.socket.write(Buffer.of(0x7f));
    }
  };
  const { grownBytes } = await attacked.under(() => trickle());
  expect(grownBytes).toBeLessThan(60 * MiB);
  await attacked.until("they are forgotten", ({ connections }) => connections === 1);
  expect((await attacked.said()).join("\n")).toMatch(/its first header was not whole within N ms/);
}, 120_000);

test("a flood of connections: those beyond the limit are told its key, the honest one stays", async () => {
  await using attacked = await Attacked.start({
    provider: { connectionsMax: 50, connectionsPerCallerMax: 50 },
  });
  const flood = async (): Promise<Evil[]> => {
    const evils: Evil[] = [];
    for (let i = 0; i < 10; i++) {
      const more = await Promise.all(Array.from({ length: 100 }, () => Evil.connect(attacked.port)));
      for (const evil of more) await evil.write(settingsFrame());
      evils.push(...more);
    }
    return evils;
  };
  const { result: evils, grownBytes } = await attacked.under(() => flood());
  await Promise.all(evils.slice(50).map((evil) => evil.end()));
  const told = evils.flatMap(({ heard }) => heard).find(({ kind }) => kind === Kind.GOING_AWAY);
  expect(told?.message).toBe("50 connections are open (provider.maxconnections)");
  expect(grownBytes).toBeLessThan(60 * MiB);
  for (const evil of evils) evil.socket.resetAndDestroy();
  await attacked.until("there is room again", ({ connections }) => connections === 1);
}, 120_000);

test("a classic request of 4 MiB, a byte at a time, takes what its bytes take", async () => {
  await using attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port);
  // framed: ZooService.Echo with 3 MiB of arguments.
  const size = 3 * MiB;
  const header = Buffer.concat([Buffer.from("0a0a5a6f6f5365727669636512044563686f18", "hex"), varint(size)]);
  const lead = Buffer.alloc(8);
  lead.writeUInt32BE(header.length, lead.writeUInt32BE(4 + header.length + size));
  await evil.write(Buffer.concat([lead, header]));
  const trickle = async (): Promise<void> => {
    for (let i = 0; i < 20_000; i++) {
      evil.socket.write(Buffer.of(0x08));
      if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const { grownBytes } = await attacked.under(() => trickle());
  expect(grownBytes).toBeLessThan(60 * MiB);
  evil.socket.resetAndDestroy();
}, 120_000);

test("replies given up by the thousand, and cancels of calls that are not there", async () => {
  await using attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port, false);
  await evil.write(
    controlFrame(Kind.SETTINGS, 0, {
      settings: { ...settingsUnknown, bodyMaxBytes: 4 << 20, maxInFlight: 0, chunks: true },
    }),
  );
  const grow = { serviceName: "fuzz.ZooService", methodName: "Grow" };
  // 140,000 bytes to be sent in chunks, which the caller gives up as soon as they wait.
  const body = Buffer.from([0x10, 0xe0, 0xc5, 0x08]);
  await evil.write(callFrame({ id: callId(1), index: 1, rare: grow, body }));
  const pair = Buffer.concat([
    callFrame({ id: callId(1), index: 1, body }),
    controlFrame(Kind.CANCEL, callId(1)),
  ]);
  const strangers = repeated(controlFrame(Kind.CANCEL, callId(70_000)), 20_000);
  const { grownBytes } = await attacked.under(async () => {
    await evil.fill(repeated(pair, 5000), 5000 * pair.length);
    for (let i = 0; i < 5; i++) await evil.write(strangers);
  });
  expect(grownBytes).toBeLessThan(150 * MiB);
}, 120_000);
