import fc from "fast-check";
import { expect, test } from "vitest";
import { ReceiveQueue, type ReceiveQueueOwner } from "../../../src/protocol/mprpc/receive-queue.js";
import { SendQueue } from "../../../src/protocol/mprpc/send-queue.js";
import { writeChunkHeader } from "../../../src/protocol/mprpc/wire/chunk-header.js";
import { FrameDecoder } from "../../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameEncoder } from "../../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind } from "../../../src/protocol/mprpc/wire/header.js";
import { defaultWireLimits } from "../../../src/protocol/mprpc/wire/limits.js";
import { settle } from "../../../src/testing/index.js";
import type { Connection } from "../../../src/transport/transport.js";

const silent: Connection = {
  remote: "127.0.0.1:2",
  local: "127.0.0.1:1",
  unwrittenBytes: 0,
  closed: false,
  setHandler: () => {},
  write: () => true,
  pause: () => {},
  resume: () => {},
  end: () => {},
  destroy: () => {},
  reset: () => {},
};

const chunkBytes = 60_000;
const message = Buffer.from(
  Uint8Array.from({ length: 150_000 }, (_, index) => (index * 31 + (index >>> 8)) & 255),
);

/** So many pings, and then the message in chunks. */
function stream(pings: number): Buffer {
  const encoder = new FrameEncoder();
  for (let i = 0; i < pings; i++) encoder.control(Kind.PING, 0, { pingId: 1 });
  encoder.beginReply(1, 0, undefined, 3);
  encoder.writer.raw(message);
  encoder.endBody();
  encoder.detachBody();
  const parts = [encoder.writer.finish()];
  for (let at = 0; at < message.length; at += chunkBytes) {
    const part = Buffer.concat([Buffer.alloc(16), message.subarray(at, at + chunkBytes)]);
    parts.push(part.subarray(writeChunkHeader(part, 16, 1, part.length - 16)));
  }
  return Buffer.concat(parts);
}

test("a message in chunks is whole, whatever was set aside when the socket asked where to read to", async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 12 }),
    fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 8 }),
    async (pings, lengths) => {
      let got: Buffer | undefined;
      const sink: ReceiveQueueOwner = {
        repliesAwaited: 0,
        onFrame: () => {},
        onMalformed: () => expect.unreachable(),
        onGoOn: () => {},
        onOversized: () => expect.unreachable(),
        onOpening: () => ({
          onEnd: (body) => {
            got = body;
          },
        }),
      };
      const decoder = new FrameDecoder(defaultWireLimits);
      const receiveQueue = new ReceiveQueue(decoder, new SendQueue(silent, { onProgress() {} }), sink, false);
      const usual = Buffer.alloc(65_536);
      const bytes = stream(pings);
      let room = receiveQueue.readTo(usual);
      for (let at = 0, read = 0; at < bytes.length; read++) {
        expect(room.length).toBeGreaterThan(0);
        const count = Math.min(room.length, bytes.length - at, lengths[read % lengths.length] as number);
        bytes.copy(room, 0, at, at + count);
        receiveQueue.receive(room.subarray(0, count));
        at += count;
        // Node asks here; what was set aside is worked on before the next bytes come.
        room = receiveQueue.readTo(usual);
        usual.fill(0xee);
        await settle();
      }
      receiveQueue.finish();
      expect(got?.equals(message)).toBe(true);
    },
  );
  await fc.assert(property, { numRuns: 40, examples: [[6, [10_000]]], endOnFailure: true });
});

/** How many frames of one read of `frames` pings are processed at once, for two such reads. */
async function partsOf(frames: number, costlyWrites: boolean, repliesAwaited: number): Promise<number[]> {
  const seen: number[] = [];
  let count = 0;
  const sink: ReceiveQueueOwner = {
    repliesAwaited,
    onFrame: () => {
      count++;
    },
    onMalformed: () => expect.unreachable(),
    onGoOn: () => {},
    onOversized: () => expect.unreachable(),
    onOpening: () => undefined,
  };
  const decoder = new FrameDecoder(defaultWireLimits);
  const queue = new ReceiveQueue(decoder, new SendQueue(silent, { onProgress() {} }), sink, costlyWrites);
  const encoder = new FrameEncoder();
  for (let i = 0; i < frames; i++) encoder.control(Kind.PING, 0, { pingId: 1 });
  for (let read = 0; read < 2; read++) {
    count = 0;
    queue.receive(Buffer.from(encoder.writer.view()));
    seen.push(count);
    await settle();
    expect(count).toBe(frames);
  }
  return seen;
}

test("a read is split in halves, except where writes are costly: there the caller splits by what it waits for", async () => {
  expect(await partsOf(60, false, 60)).toEqual([8, 30]);
  expect(await partsOf(60, true, 60)).toEqual([20, 20]);
  expect(await partsOf(20, true, 60)).toEqual([20, 20]);
  expect(await partsOf(16, true, 16)).toEqual([8, 8]);
  expect(await partsOf(60, true, Infinity)).toEqual([60, 60]);
});
