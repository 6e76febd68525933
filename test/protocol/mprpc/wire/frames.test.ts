import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { FrameDecoder, type FrameSink } from "../../../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameEncoder } from "../../../../src/protocol/mprpc/wire/frame-encoder.js";
import type { FrameHeader } from "../../../../src/protocol/mprpc/wire/header.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { allocatedBy, anyFrame, ping } from "./frames-support.js";
import {
  cutAt,
  decodeChunks,
  encodedFrame,
  encodeFrame,
  hex,
  inPieces,
  type VectorFrame,
} from "./vectors.js";

describe("any split, any coalescing", () => {
  test("any frames, cut anywhere, decode alike", () => {
    const property = fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (frames, cuts) => {
        const encoder = new FrameEncoder();
        for (const frame of frames) encodeFrame(encoder, frame);
        const bytes = encoder.writer.finish();
        const offsets = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        expect(decodeChunks(cutAt(bytes, ...offsets))).toEqual({ frames, malformed: undefined });
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  test.each([1, 2, 3, 5, 7, 64, 1000])("a thousand frames in pieces of %i bytes", (size) => {
    const { bytes, frames } = thousandFrames();
    expect(decodeChunks(inPieces(bytes, size)).frames).toEqual(frames);
  });

  test("a thousand frames in one chunk lie where they came: nothing is copied", () => {
    const { bytes, frames } = thousandFrames();
    const decoder = new FrameDecoder(defaultWireLimits);
    let count = 0;
    const malformed = decoder.push(bytes, {
      onFrame(_header, buffer) {
        expect(buffer).toBe(bytes);
        count++;
      },
      onOversized() {},
      onOpening: () => undefined,
    });
    expect(malformed).toBeUndefined();
    expect(count).toBe(frames.length);
  });

  test("a body stays as it came, also when it is kept while later chunks arrive", () => {
    const kept: Buffer[] = [];
    const decoder = new FrameDecoder(defaultWireLimits);
    const bodies = [0, 1, 2, 3].map((n) => Buffer.alloc(50_000, n + 1));
    const bytes = Buffer.concat(
      bodies.map((body) => encodedFrame({ kind: "CALL", call_id: 1, body: body.toString("hex") })),
    );
    for (const piece of inPieces(bytes, 1777)) {
      decoder.push(piece, {
        onFrame: (_header, buffer, start, end, shared) => {
          expect(shared).toBe(false);
          kept.push(buffer.subarray(start, end));
        },
        onOversized() {},
        onOpening: () => undefined,
      });
    }
    expect(kept).toEqual(bodies);
  });

  test("an empty chunk changes nothing", () => {
    const bytes = encodedFrame(ping(7));
    const empty = Buffer.alloc(0);
    const chunks = [empty, bytes.subarray(0, 5), empty, bytes.subarray(5), empty];
    expect(decodeChunks(chunks).frames).toEqual([ping(7)]);
  });

  function thousandFrames(): { bytes: Buffer; frames: VectorFrame[] } {
    const encoder = new FrameEncoder();
    const frames: VectorFrame[] = [];
    for (let i = 1; i <= 1000; i++) {
      const frame: VectorFrame =
        i % 3 === 0
          ? ping(i)
          : { kind: "CALL", call_id: i, method_index: 1, body: "ab".repeat((i % 40) + 1) };
      frames.push(frame);
      encodeFrame(encoder, frame);
    }
    return { bytes: encoder.writer.finish(), frames };
  }
});

describe("reading to where the bytes belong", () => {
  const sizes = [10, 70_000, 3, 300_000, 65_536, 20_000, 0, 1 << 20, 5];
  const body = (size: number): Buffer => Buffer.alloc(size, size & 255);

  /** Whole frames and messages in chunks by turns. */
  function stream(): Buffer {
    const encoder = new FrameEncoder();
    const parts: Buffer[] = [];
    for (const [i, size] of sizes.entries()) {
      encoder.beginReply(i + 1, 0, undefined, 1);
      encoder.writer.raw(body(size));
      encoder.endBody();
      if (i % 2 === 0 || size === 0) {
        encoder.keepBody();
        parts.push(encoder.writer.finish());
      } else {
        const message = encoder.detachBody();
        parts.push(encoder.writer.finish());
        while (message.leftBytes > 0)
          parts.push(...message.next(i + 1, 50_000).map((part) => Buffer.from(part)));
      }
      encoder.writer.position = 0;
    }
    return Buffer.concat(parts);
  }

  test("gives the same frames, whatever the length of each read, and copies little of the large ones", () => {
    const bytes = stream();
    const property = fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 90_000 })), (lengths) => {
      const decoder = new FrameDecoder(defaultWireLimits);
      const usual = Buffer.alloc(65_536);
      const got: Array<[number, boolean]> = [];
      const keep = (id: number, message: Buffer): void => {
        got.push([id, message.equals(body(sizes[id - 1] ?? -1))]);
      };
      const sink: FrameSink = {
        onFrame: (header, buffer, start, end) => keep(header.callId, buffer.subarray(start, end)),
        onOversized: () => expect.unreachable(),
        onOpening: ({ callId }) => ({ onEnd: (message) => keep(callId, message ?? usual) }),
      };
      let direct = 0;
      for (let at = 0; at < bytes.length; ) {
        const room = decoder.readTo(usual);
        const count = Math.min(room.length, bytes.length - at, lengths.next().value as number);
        bytes.copy(room, 0, at, at + count);
        if (room.buffer !== usual.buffer) direct += count;
        expect(decoder.push(room.subarray(0, count), sink)).toBeUndefined();
        at += count;
        // As a socket does: the next read goes over what was there.
        usual.fill(0xee);
      }
      expect(got.map(([id]) => id)).toEqual(sizes.map((_, i) => i + 1));
      expect(got.every(([, same]) => same)).toBe(true);
      expect(direct).toBeGreaterThan(300_000);
    });
    fc.assert(property, { numRuns: 50 });
  });

  /** Reads `bytes` as a socket does, each read as long as there is room; gives how many of them were copied, and the reads. */
  function readAll(decoder: FrameDecoder, bytes: Buffer, sink: FrameSink, lengthMax = Infinity) {
    const usual = Buffer.alloc(65_536);
    let copied = 0;
    let reads = 0;
    for (let at = 0; at < bytes.length; reads++) {
      const room = decoder.readTo(usual);
      const count = Math.min(room.length, bytes.length - at, lengthMax);
      bytes.copy(room, 0, at, at + count);
      if (room.buffer === usual.buffer) copied += count;
      expect(decoder.push(room.subarray(0, count), sink)).toBeUndefined();
      at += count;
      usual.fill(0xee);
    }
    return { copied, reads };
  }

  function frames(lengths: readonly number[]): Buffer {
    const encoder = new FrameEncoder();
    for (const [i, size] of lengths.entries()) {
      encoder.beginMessage(i + 1, 3);
      encoder.writer.raw(Buffer.alloc(size, (i + 1) & 255));
      encoder.endBody();
      encoder.keepBody();
    }
    return encoder.writer.finish();
  }

  test.each([20_000, 65_000, 65_536, 131_072])(
    "of large frames one after the other, each of %d bytes is one read",
    (size) => {
      const count = 40;
      const decoder = new FrameDecoder(defaultWireLimits);
      let views = 0;
      const sink: FrameSink = {
        onFrame: (_header, _buffer, _start, _end, shared) => {
          if (!shared) views++;
        },
        onOversized: () => expect.unreachable(),
        onOpening: () => expect.unreachable(),
      };
      const { copied, reads } = readAll(decoder, frames(new Array(count).fill(size)), sink);
      decoder.stop();
      expect(views).toBeGreaterThanOrEqual(count - 5);
      expect(reads).toBeLessThanOrEqual(count + 5);
      expect(copied).toBeLessThan(5 * 65_536);
    },
  );

  test("memory that is ready for a large frame takes small ones, and a view of it is never overwritten", () => {
    const size = fc.oneof(
      fc.constantFrom(65_536, 65_537, 65_533, 20_000),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 0, max: 100_000 }),
    );
    const property = fc.property(
      fc.array(size, { minLength: 1, maxLength: 15 }),
      fc.integer({ min: 500, max: 200_000 }),
      (lengths, lengthMax) => {
        const decoder = new FrameDecoder(defaultWireLimits);
        const kept: Buffer[] = [];
        const sink: FrameSink = {
          onFrame: (_header, buffer, start, end, shared) => {
            const body = buffer.subarray(start, end);
            kept.push(shared ? Buffer.from(body) : body);
          },
          onOversized: () => expect.unreachable(),
          onOpening: () => expect.unreachable(),
        };
        readAll(decoder, frames(lengths), sink, lengthMax);
        decoder.stop();
        expect(kept.map(({ length }) => length)).toEqual(lengths);
        for (const [i, body] of kept.entries()) {
          expect(body.equals(Buffer.alloc(body.length, (i + 1) & 255))).toBe(true);
        }
      },
    );
    fc.assert(property, { numRuns: 50 });
  });

  test("memory is ready on a few connections only, and a connection that ends gives its place back", () => {
    const series = frames([65_536, 65_536, 65_536]);
    const sink: FrameSink = { onFrame() {}, onOversized() {}, onOpening: () => undefined };
    const usual = Buffer.alloc(65_536);
    const ready = (count: number) => {
      const decoders = Array.from({ length: count }, () => new FrameDecoder(defaultWireLimits));
      for (const decoder of decoders) readAll(decoder, series, sink);
      const own = decoders.filter((decoder) => decoder.readTo(usual).buffer !== usual.buffer);
      for (const decoder of decoders) decoder.stop();
      return own.length;
    };
    expect(ready(100)).toBe(32);
    expect(ready(10)).toBe(10);
  });

  test.each([
    ["was refused is passed over", 0],
    ["nobody wants any more is passed over, and its end is told", 4],
    ["is forgotten is passed over", 0],
  ])("what %s, and gathered nowhere", (what, ends) => {
    const bytes = stream();
    const decoder = new FrameDecoder(defaultWireLimits);
    const ended: unknown[] = [];
    const opened: number[] = [];
    const allocated = allocatedBy(() => {
      for (let at = 0; at < bytes.length; at += 1000) {
        decoder.push(bytes.subarray(at, at + 1000), {
          onFrame: () => {},
          onOversized: () => expect.unreachable(),
          onOpening: ({ callId }) => {
            opened.push(callId);
            return what.startsWith("was") ? undefined : { onEnd: (message) => ended.push(message) };
          },
        });
        for (const id of opened.splice(0)) {
          if (what.startsWith("nobody")) decoder.discard(id);
          else decoder.forget(id);
          expect(decoder.missingBytes(id) !== undefined).toBe(ends > 0);
        }
      }
    });
    expect(ended).toEqual(Array.from({ length: ends }, () => undefined));
    expect(allocated.largest).toBeLessThan(128 * 1024);
  });
});

describe("stopping", () => {
  const sinkThat = (onFrame: (header: FrameHeader) => void) => ({
    onFrame,
    onOversized() {},
    onOpening: () => undefined,
  });

  test("stop() in the middle of a chunk ends the decoding there", () => {
    const seen: number[] = [];
    const decoder = new FrameDecoder(defaultWireLimits);
    const sink = sinkThat((header) => {
      seen.push(header.rare.pingId ?? 0);
      if (seen.length === 2) decoder.stop();
    });
    const bytes = Buffer.concat([1, 2, 3].map((id) => encodedFrame(ping(id))));
    expect(decoder.push(bytes, sink)).toBeUndefined();
    expect(decoder.push(bytes, sink)).toBeUndefined();
    expect(seen).toEqual([1, 2]);
  });

  test("frames before malformed bytes are handed over, nothing after them", () => {
    const decoder = new FrameDecoder(defaultWireLimits);
    const onFrame = vi.fn();
    const bytes = Buffer.concat([encodedFrame(ping(1)), hex("00000000"), encodedFrame(ping(2))]);
    expect(decoder.push(bytes, sinkThat(onFrame))).toBe("header of 0 bytes");
    expect(decoder.push(encodedFrame(ping(3)), sinkThat(onFrame))).toBeUndefined();
    expect(onFrame).toHaveBeenCalledTimes(1);
  });
});
