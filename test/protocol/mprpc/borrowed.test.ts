import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OutgoingStream } from "../../../src/index.js";
import { Writer } from "../../../src/protobuf/writer.js";
import { FrameEncoder } from "../../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind, settingsUnknown } from "../../../src/protocol/mprpc/wire/header.js";
import { startFlow } from "../../streams/support.js";
import { failure } from "../../support/async.js";
import { Cluster, startPair } from "../../support/cluster.js";
import type { Item } from "../../support/gen/flow.js";
import { ProbeServiceStub } from "../../support/gen/probe.js";
import { callId, controlFrame, RawPeer, replyFrame } from "../../support/raw-peer.js";

const KiB = 1024;
const wide = { settings: { limits: { bodyMaxBytes: 32 << 20 } }, tcp: true };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A message of nested parts, small and large `bytes` among them, as generated code writes it. */
interface Part {
  sizes: number[];
  inner: Part | undefined;
}

function write(writer: Writer, { sizes, inner }: Part): void {
  for (const [i, size] of sizes.entries()) writer.bytesField(10, Buffer.alloc(size, i + 1), "bytes");
  if (inner === undefined) return;
  const mark = writer.partField(18);
  write(writer, inner);
  writer.end(mark);
  writer.uint32Field(24, 300, "number");
}

const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 60 * KiB, max: 140 * KiB }));
const part: fc.Arbitrary<Part> = fc.letrec<{ part: Part }>((tie) => ({
  part: fc.record({
    sizes: fc.array(size, { maxLength: 3 }),
    inner: fc.option(tie("part"), { nil: undefined, maxDepth: 3 }),
  }),
})).part;

describe("a message with large bytes that are not copied", () => {
  const wholeOf = (message: Part): Buffer => {
    const writer = new Writer();
    write(writer, message);
    return writer.finish();
  };
  const begun = (message: Part): FrameEncoder => {
    const encoder = new FrameEncoder();
    encoder.control(Kind.PING, 0, { pingId: 1 });
    encoder.beginMessage(300, 1);
    write(encoder.writer, message);
    expect(encoder.endBody()).toBe(wholeOf(message).length);
    return encoder;
  };

  test("is the same in chunks of any size, and in one frame", () => {
    fc.assert(
      fc.property(part, fc.integer({ min: 1000, max: 200_000 }), (message, chunkBytes) => {
        const whole = wholeOf(message);
        const kept = begun(message);
        kept.keepBody();
        expect(
          kept.writer
            .view()
            .subarray(-whole.length || kept.writer.position)
            .equals(whole),
        ).toBe(true);
        for (const body of [begun(message).takeBody(), begun(message).detachBody()]) {
          expect([body.sizeBytes, body.leftBytes]).toEqual([whole.length, whole.length]);
          const parts: Uint8Array[] = [];
          while (body.leftBytes > 0) {
            const before = body.leftBytes;
            const chunk = Buffer.concat(body.next(300, chunkBytes));
            const bytes = before - body.leftBytes;
            expect(bytes).toBeLessThanOrEqual(Math.max(chunkBytes, 16 * KiB));
            parts.push(chunk.subarray(chunk.length - bytes));
          }
          expect(Buffer.concat(parts).equals(whole)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("leaves nothing in the writer when it is taken back, and is copied into frames of oneway calls", () => {
    const encoder = new FrameEncoder();
    encoder.beginCall(1, 1, -1, undefined, 1);
    encoder.writer.bytesField(10, Buffer.alloc(200 * KiB), "bytes");
    expect(encoder.writer.borrowedBytes).toBe(200 * KiB);
    encoder.abort();
    expect([encoder.writer.borrowedBytes, encoder.writer.position]).toEqual([0, 0]);
    encoder.beginCall(0, 1, -1, undefined, 1);
    encoder.writer.bytesField(10, Buffer.alloc(200 * KiB), "bytes");
    expect(encoder.writer.borrowedBytes).toBe(0);
  });
});

describe("the user's memory", () => {
  test("is free again when the call has settled", async () => {
    const { stub } = await startPair(wide);
    await stub.echo({});
    const data = Buffer.alloc(1 << 20);
    for (let round = 1; round <= 20; round++) {
      data.fill(round);
      const reply = stub.echo({ data });
      await turn();
      const { data: echoed } = await reply;
      expect(echoed.every((byte) => byte === round)).toBe(true);
    }
  });

  test("is free again when the call was cancelled: a message that becomes whole all the same is as it was", async () => {
    const cluster = new Cluster(wide);
    const runtime = cluster.runtime();
    const peers: RawPeer[] = [];
    const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      const peer = new RawPeer(connection);
      const settings = { ...settingsUnknown, bodyMaxBytes: 32 << 20, maxInFlight: 1000, chunks: true };
      peer.send(controlFrame(Kind.SETTINGS, 0, { settings }));
      peers.push(peer);
    });
    cluster.onClose(() => listener.close());
    cluster.onClose(async () => peers[0]?.connection.destroy());
    const { address } = listener;
    await runtime.registry.register({ service: "probe.ProbeService", methods: ["Echo"], address });
    const stub = new ProbeServiceStub(cluster.channel({}, runtime));
    const first = stub.echo({});
    while (peers[0] === undefined) await turn();
    const peer = peers[0];
    await peer.frame(Kind.CALL, callId(1));
    peer.send(replyFrame({ id: callId(1) }));
    await first;
    let givenUp = 0;
    for (const sizeBytes of [140 * KiB, 600 * KiB, 8 << 20]) {
      for (let turns = 0; turns < 6; turns++) {
        peer.frames.splice(0);
        peer.connection.pause();
        const data = Buffer.alloc(sizeBytes, 1);
        const cancel = new AbortController();
        const failed = failure(stub.echo({ data }, { signal: cancel.signal }));
        for (let at = 0; at < turns; at++) await turn();
        cancel.abort();
        await failed;
        data.fill(2);
        peer.connection.resume();
        // Behind it nothing comes of the message.
        await peer.frame(Kind.CANCEL);
        const call = await peer.frame(Kind.CALL);
        if (call.message === undefined) givenUp++;
        else expect(Buffer.from(call.message).includes(2)).toBe(false);
        peer.send(replyFrame({ id: call.callId, status: 1 }));
      }
    }
    expect(givenUp).toBeGreaterThan(0);
  });

  test.each([100 * KiB, 700 * KiB])(
    "is free again when a write of %d bytes to a stream has resolved",
    async (sizeBytes) => {
      const sums: boolean[] = [];
      const { stub } = await startFlow({
        ...wide,
        flow: {
          async put(requests) {
            for await (const { number, data } of requests) {
              sums.push(data.length === sizeBytes && data.every((byte) => byte === number));
            }
            return { number: sums.length };
          },
        },
      });
      const out = new OutgoingStream<Partial<Item>>();
      const reply = stub.put(out);
      const data = Buffer.alloc(sizeBytes);
      for (let number = 1; number <= 12; number++) {
        data.fill(number);
        await out.write({ number, data });
        data.fill(0xff);
      }
      out.end();
      expect((await reply).number).toBe(12);
      expect(sums).toEqual(new Array(12).fill(true));
    },
  );
});
