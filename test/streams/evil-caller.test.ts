import { describe, expect, test } from "vitest";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { deferred } from "../support/async.js";
import {
  announcedFrame,
  callFrame,
  callId,
  chunkFrame,
  controlFrame,
  messageFrame,
  RawPeer,
  settingsFrame,
} from "../support/raw-peer.js";
import { collect, settled, startFlow } from "./support.js";

const none = Buffer.alloc(0);
const streams = { Ask: 0, Put: 1, Watch: 2, Chat: 3 } as const;

const call = (id: number, method: keyof typeof streams, credit = 0): Buffer =>
  callFrame({
    ...{ id, body: none },
    rare: { serviceName: "flow.FlowService", methodName: method, stream: streams[method], credit },
  });

/** A provider whose handlers of streams of requests never read, and a caller that is the test. */
async function startEvil() {
  const held = deferred();
  const { cluster, provider } = await startFlow({
    flow: {
      put: async (requests) => {
        await held.promise;
        return { number: (await collect(requests)).length };
      },
      // biome-ignore lint/correctness/useYield: it gives nothing
      async *chat() {
        await held.promise;
      },
    },
  });
  const address = provider.address;
  if (address === undefined) throw new Error("no address");
  const peer = await RawPeer.connect(cluster.transport, address);
  peer.send(settingsFrame());
  return { peer, provider, cluster, held, log: cluster.log };
}

const one = callId(1);
const credit = (id: number, bytes: number): Buffer => controlFrame(Kind.CREDIT, id, { credit: bytes });

describe("a caller that breaks the wire: its connection ends, the reason is in the log", () => {
  test.each<[string, () => Buffer[], RegExp]>([
    [
      "a message beyond its credit",
      () => [call(one, "Put"), messageFrame(one, Buffer.alloc(16_353))],
      /credit for 16384/,
    ],
    [
      "chunks beyond its credit",
      () => [call(one, "Put"), announcedFrame(one, 100_000), chunkFrame(one, Buffer.alloc(16_353))],
      /credit for 16352/,
    ],
    [
      "a message on a unary call",
      () => [call(one, "Chat"), call(callId(2), "Watch"), messageFrame(callId(2))],
      /sends no stream/,
    ],
    [
      "a message behind half-close",
      () => [call(one, "Put"), controlFrame(Kind.HALF_CLOSE, one), messageFrame(one)],
      /behind the end of its requests/,
    ],
    [
      "half-close twice",
      () => [call(one, "Put"), controlFrame(Kind.HALF_CLOSE, one), controlFrame(Kind.HALF_CLOSE, one)],
      /behind the end of its requests/,
    ],
    [
      "a message before the announced one is whole",
      () => [call(one, "Put"), announcedFrame(one, 100), messageFrame(one)],
      /before the message it announced was whole/,
    ],
    [
      "half-close before the announced one is whole",
      () => [call(one, "Put"), announcedFrame(one, 100), controlFrame(Kind.HALF_CLOSE, one)],
      /before the message it announced was whole/,
    ],
    [
      "two announced messages",
      () => [call(one, "Put"), announcedFrame(one, 100), announcedFrame(one, 100)],
      /was whole/,
    ],
    ["credit of 0", () => [call(one, "Chat", 4096), credit(one, 0)], /credit of 0 bytes/],
    [
      "credit that overflows",
      () => [call(one, "Chat", 4096), credit(one, 2 ** 31 - 1)],
      /credit that comes to/,
    ],
    ["credit where no replies stream", () => [call(one, "Put"), credit(one, 1)], /sends no stream/],
  ])("%s", async (_what, frames, reason) => {
    const { peer, log } = await startEvil();
    peer.send(...frames());
    await peer.end();
    await expect.poll(() => log.lines.some((line) => reason.test(JSON.stringify(line)))).toBe(true);
  });
});

describe("what is no harm, and is passed over", () => {
  test("frames of streams for numbers not in use, and after the reply", async () => {
    const { peer, held } = await startEvil();
    const unknown = callId(77);
    peer.send(messageFrame(unknown), controlFrame(Kind.HALF_CLOSE, unknown), credit(unknown, 0));
    peer.send(announcedFrame(unknown, 50), chunkFrame(unknown, Buffer.alloc(50)));
    peer.send(call(one, "Put"), controlFrame(Kind.HALF_CLOSE, one));
    held.resolve();
    expect((await peer.frame(Kind.REPLY, one)).status).toBe(0);
    peer.send(messageFrame(one), controlFrame(Kind.HALF_CLOSE, one), credit(one, 5));
    const two = callId(2);
    peer.send(call(two, "Put"), messageFrame(two), controlFrame(Kind.HALF_CLOSE, two));
    expect((await peer.frame(Kind.REPLY, two)).status).toBe(0);
    expect(peer.closed).toBe(false);
  });

  test("a wrong kind is UNIMPLEMENTED, naming both; a stream without a number is dropped", async () => {
    const { peer } = await startEvil();
    const rare = { serviceName: "flow.FlowService", methodName: "Watch" };
    peer.send(callFrame({ id: one, body: none, rare: { ...rare, stream: 1 } }));
    peer.send(callFrame({ id: callId(2), body: none, rare: { ...rare, methodName: "Ask", stream: 3 } }));
    peer.send(callFrame({ id: callId(3), body: none, rare }));
    peer.send(callFrame({ id: 0, body: none, rare: { ...rare, stream: 2 } }));
    const texts: (string | undefined)[] = [];
    for (const slot of [1, 2, 3]) {
      const { status, rare: sent } = await peer.frame(Kind.REPLY, callId(slot));
      expect([status, sent.executed]).toEqual([12, "never"]);
      texts.push(sent.message?.split(":")[0]);
    }
    expect(texts).toEqual([
      "flow.FlowService.Watch is server_streaming here, and the call is client_streaming",
      "flow.FlowService.Ask is unary here, and the call is bidi_streaming",
      "flow.FlowService.Watch is server_streaming here, and the call is unary",
    ]);
  });
});

test("announced messages of 1,000 calls, each a byte short: no more memory than was given, and all end", async () => {
  const { peer, provider, cluster, held } = await startEvil();
  for (let slot = 1; slot <= 1000; slot++) {
    const id = callId(slot);
    peer.send(call(id, "Put"), announcedFrame(id, 8001), chunkFrame(id, Buffer.alloc(8000)));
  }
  await settled(() => provider.inFlight);
  expect(provider.inFlight).toBe(1000);
  held.resolve();
  await settled(() => peer.frames.length);
  // The handlers wait for the last byte now, which does not come.
  for (let at = 0; at < 8; at++) await cluster.clock.run(2500);
  await settled(() => provider.inFlight);
  expect(provider.inFlight).toBe(0);
  const replies = peer.frames.filter(({ kind }) => kind === Kind.REPLY);
  expect(replies).toHaveLength(1000);
  expect(replies.every(({ status }) => status === 14)).toBe(true);
});

test("a flood of empty messages ends at the credit", async () => {
  const { peer, provider } = await startEvil();
  peer.send(call(one, "Put"));
  for (let at = 0; at < 512; at++) peer.send(messageFrame(one));
  await settled(() => peer.frames.length);
  expect(peer.closed).toBe(false);
  expect(provider.inFlight).toBe(1);
  const given = peer.frames
    .filter(({ kind }) => kind === Kind.CREDIT)
    .reduce((sum, frame) => sum + frame.credit, 0);
  expect(given).toBeLessThanOrEqual(256 * 1024);
  for (let at = 0; at < given / 32 + 1; at++) peer.send(messageFrame(one));
  await peer.end();
});

test("a caller that cancels in the middle of an announced message, and uses the number again", async () => {
  const { peer, held } = await startEvil();
  peer.send(call(one, "Put"), announcedFrame(one, 5000), chunkFrame(one, Buffer.alloc(100)));
  peer.send(controlFrame(Kind.CANCEL, one));
  expect((await peer.frame(Kind.REPLY, one)).status).toBe(1);
  const again = callId(1, 1);
  // What was on its way is passed over.
  peer.send(chunkFrame(one, Buffer.alloc(100)), call(again, "Put"), messageFrame(again));
  peer.send(controlFrame(Kind.HALF_CLOSE, again));
  held.resolve();
  expect((await peer.frame(Kind.REPLY, again)).status).toBe(0);
});
