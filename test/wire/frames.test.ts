import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { FrameDecoder, type FrameSink } from "../../src/wire/frame-decoder.js";
import { FrameEncoder, writeChunkHeader } from "../../src/wire/frame-encoder.js";
import type { FrameHeader } from "../../src/wire/header.js";
import { defaultWireLimits } from "../../src/wire/limits.js";
import {
  cutAt,
  decodeChunks,
  encodedFrame,
  encodeFrame,
  hex,
  inPieces,
  type VectorFrame,
} from "./vectors.js";

const ping = (id: number): VectorFrame => ({ kind: "PING", ping_id: id });

/** A header of `headerBytes`, with its length in front. */
function withHeader(header: Buffer, body = Buffer.alloc(0)): Buffer {
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  return Buffer.concat([lead, header, body]);
}

function allocatedBy(work: () => void): { largest: number; count: number } {
  const spies = [
    vi.spyOn(Buffer, "allocUnsafeSlow"),
    vi.spyOn(Buffer, "allocUnsafe"),
    vi.spyOn(Buffer, "alloc"),
  ];
  work();
  const sizes = spies.flatMap((spy) => spy.mock.calls.map(([size]) => size)).filter((size) => size > 0);
  for (const spy of spies) spy.mockRestore();
  return { largest: Math.max(0, ...sizes), count: sizes.length };
}

const uint32 = fc.integer({ min: 1, max: 0xffff_ffff });
const bodyHex = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const anyText = fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 });
const anyMetadata = fc.array(
  fc.oneof(
    fc.record({ key: fc.stringMatching(/^[a-z0-9_.-]{1,20}$/), text: anyText }),
    fc.record({ key: fc.stringMatching(/^[a-z0-9_.-]{1,20}$/), binary: bodyHex }),
  ),
  { minLength: 1, maxLength: 5 },
);
const anyFrame: fc.Arbitrary<VectorFrame> = fc
  .oneof(
    fc.record(
      {
        kind: fc.constant("CALL"),
        call_id: uint32,
        method_index: uint32,
        timeout_ms: fc.integer({ min: 0, max: 0xffff_ffff }),
        service_name: anyText,
        method_name: anyText,
        metadata: anyMetadata,
        idempotency_key: anyText,
        body: bodyHex,
      },
      { requiredKeys: ["kind"] },
    ),
    fc.record(
      {
        kind: fc.constant("REPLY"),
        call_id: uint32,
        status: fc.constantFrom("CANCELLED", "NOT_FOUND", "UNAUTHENTICATED"),
        message: anyText,
        metadata: anyMetadata,
        details: fc.array(fc.record({ type: anyText, value: bodyHex }), { minLength: 1, maxLength: 3 }),
        executed: fc.constantFrom("NEVER", "YES"),
        body: bodyHex,
      },
      { requiredKeys: ["kind", "call_id"] },
    ),
    fc.record({ kind: fc.constant("CANCEL"), call_id: uint32 }),
    fc.record({ kind: fc.constantFrom("PING", "PONG"), ping_id: uint32 }),
    fc.record({ kind: fc.constant("GOING_AWAY"), accepted_calls: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  )
  .map((frame) => {
    const copy = { ...frame } as VectorFrame;
    if (copy.body === "") delete copy.body;
    return copy;
  });

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
      if (i % 2 === 0 || size === 0) parts.push(encoder.writer.finish());
      else {
        const { buffer, start, end } = encoder.detachBody();
        parts.push(encoder.writer.finish());
        for (let at = start; at < end; at += 50_000) {
          const to = Math.min(at + 50_000, end);
          const from = writeChunkHeader(buffer, at, to - at);
          parts.push(Buffer.from(buffer.subarray(from, to)));
        }
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
        onOpening: ({ callId }) => ({ awaited: true, onEnd: (message) => keep(callId, message ?? usual) }),
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

  test("what nobody waits for is passed over, and gathered nowhere", () => {
    const bytes = stream();
    const decoder = new FrameDecoder(defaultWireLimits);
    const ended: unknown[] = [];
    const allocated = allocatedBy(() => {
      for (let at = 0; at < bytes.length; at += 65_536) {
        decoder.push(bytes.subarray(at, at + 65_536), {
          onFrame: () => {},
          onOversized: () => expect.unreachable(),
          onOpening: () => ({ awaited: false, onEnd: (message) => ended.push(message) }),
        });
      }
    });
    expect(ended).toEqual([undefined, undefined, undefined, undefined]);
    expect(allocated.largest).toBeLessThan(128 * 1024);
  });
});

describe("hostile bytes", () => {
  test("random bytes never throw, and what they allocate is bounded by what arrived", () => {
    const property = fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 5 }),
      (chunks) => {
        const buffers = chunks.map((chunk) => Buffer.from(chunk));
        const allocated = allocatedBy(() => decodeChunks(buffers));
        const arrived = buffers.reduce((sum, { length }) => sum + length, 0);
        expect(allocated.largest).toBeLessThanOrEqual(Math.max(16 * 1024, 2 * arrived));
      },
    );
    fc.assert(property, { numRuns: 1000 });
  });

  test("random bytes behind an honest length and kind never throw", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(), (garbage, cut) => {
      const bytes = withHeader(Buffer.concat([hex("2001"), Buffer.from(garbage)]));
      const whole = decodeChunks([bytes], { bodyMaxBytes: 64 });
      expect(decodeChunks(cutAt(bytes, cut % bytes.length), { bodyMaxBytes: 64 })).toEqual(whole);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  test("a frame with any one byte changed never throws", () => {
    const good = encodedFrame({
      kind: "REPLY",
      call_id: 300,
      status: "NOT_FOUND",
      message: "gone",
      metadata: [{ key: "a", text: "1" }],
      details: [{ type: "t", value: "00" }],
      body: "0102",
    });
    for (let at = 0; at < good.length; at++) {
      for (let value = 0; value < 256; value++) {
        const bytes = Buffer.from(good);
        bytes[at] = value;
        const { frames, malformed } = decodeChunks([bytes]);
        expect(frames.length + (malformed === undefined ? 0 : 1)).toBeLessThanOrEqual(3);
      }
    }
  });

  test.each([
    ["a header of 64 KiB", hex("00000100")],
    ["a body of 4 MiB", withHeader(hex("2001 2801 1880808002"))],
  ])("a claim of %s costs a few KiB until its bytes arrive", (_what, claim) => {
    const decoder = new FrameDecoder(defaultWireLimits);
    const sink = { onFrame: vi.fn(), onOversized: vi.fn(), onOpening: vi.fn() };
    const arriving = inPieces(Buffer.alloc(1000), 10);
    const allocated = allocatedBy(() => {
      expect(decoder.push(claim, sink)).toBeUndefined();
      for (const piece of arriving) expect(decoder.push(piece, sink)).toBeUndefined();
    });
    expect(allocated.largest).toBeLessThanOrEqual(16 * 1024);
    expect(sink.onFrame).not.toHaveBeenCalled();
  });

  test("a claim of 4 MiB with 20 KB behind it costs at most twice what arrived", () => {
    const arriving = inPieces(
      Buffer.concat([withHeader(hex("2001 2801 1880808002")), Buffer.alloc(20_000)]),
      1000,
    );
    const allocated = allocatedBy(() => expect(decodeChunks(arriving).frames).toEqual([]));
    expect(allocated.largest).toBeLessThanOrEqual(2 * 20_011);
  });

  test("a claim of 4 GiB, header or body, allocates nothing", () => {
    const body = withHeader(hex("2001 2801 18ffffffff0f"));
    const arriving = inPieces(Buffer.alloc(200_000), 50_000);
    const allocated = allocatedBy(() => {
      expect(decodeChunks([hex("ffffffff")]).malformed).toMatch(
        /4294967295 .* limit of 65536 \(limits.header\)/,
      );
      const { frames, malformed } = decodeChunks([body, ...arriving]);
      expect(malformed).toBeUndefined();
      expect(frames).toEqual([{ kind: "CALL", call_id: 1, oversized: 0xffff_ffff }]);
    });
    expect(allocated.largest).toBe(0);
  });

  test("a frame in small pieces is gathered with few allocations, none beyond twice what arrived", () => {
    const frame: VectorFrame = { kind: "CALL", call_id: 1, body: "ab".repeat(1 << 20) };
    const pieces = inPieces(encodedFrame(frame), 1000);
    let frames: VectorFrame[] = [];
    const allocated = allocatedBy(() => {
      frames = decodeChunks(pieces).frames;
    });
    expect(frames).toEqual([frame]);
    expect(allocated.count).toBeGreaterThan(0);
    expect(allocated.count).toBeLessThan(12);
    expect(allocated.largest).toBeLessThanOrEqual(2 * (1 << 20));
  });
});

describe("limits", () => {
  test("a header of exactly the limit is read, one byte more is malformed before it arrives", () => {
    const limits = { headerMaxBytes: 100 };
    const full = withHeader(Buffer.concat([hex("2003 2801 4a5e"), Buffer.alloc(94, 0x61)]));
    expect(full.readUInt32LE(0)).toBe(100);
    expect(decodeChunks([full], limits).frames).toHaveLength(1);
    expect(decodeChunks([hex("65000000")], limits).malformed).toBe(
      "header of 101 bytes is over the limit of 100 (limits.header)",
    );
  });

  test("a body over the limit is passed over at any split, and the next frame is intact", () => {
    const bytes = Buffer.concat([
      encodedFrame({ kind: "CALL", call_id: 9, body: "ee".repeat(101) }),
      encodedFrame(ping(1)),
    ]);
    const frames = [{ kind: "CALL", call_id: 9, oversized: 101 }, ping(1)];
    for (let at = 0; at <= bytes.length; at++) {
      expect(decodeChunks(cutAt(bytes, at), { bodyMaxBytes: 100 })).toEqual({ frames, malformed: undefined });
    }
    expect(decodeChunks(inPieces(bytes, 1), { bodyMaxBytes: 100 }).frames).toEqual(frames);
  });

  test("an oversized body is told once, as soon as its header is there", () => {
    const bytes = encodedFrame({ kind: "REPLY", call_id: 9, body: "ee".repeat(101) });
    const headerEnd = bytes.length - 101;
    expect(decodeChunks([bytes.subarray(0, headerEnd - 1)], { bodyMaxBytes: 100 }).frames).toEqual([]);
    expect(decodeChunks([bytes.subarray(0, headerEnd)], { bodyMaxBytes: 100 }).frames).toHaveLength(1);
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

describe("FrameEncoder", () => {
  const sizes = [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152];

  test.each(sizes)("a body of %i bytes is right whatever its size was guessed to take", (size) => {
    const body = Buffer.allocUnsafe(size);
    for (let i = 0; i < size; i++) body[i] = i % 251;
    for (const guess of [1, 2, 3, 4, 5]) {
      for (const rare of [undefined, { message: "m".repeat(30) }]) {
        const encoder = new FrameEncoder();
        encoder.control(5, 0, { pingId: 1 });
        encoder.beginReply(7, 0, rare, guess);
        encoder.writer.raw(body);
        expect(encoder.endBody()).toBe(size);
        const headerBytes = encoder.headerBytes;
        encoder.control(4, 0, { pingId: 2 });
        const bytes = encoder.writer.view();
        expect(bytes.readUInt32LE(9)).toBe(headerBytes);
        const bodies: Buffer[] = [];
        const kinds: number[] = [];
        const malformed = new FrameDecoder(defaultWireLimits).push(bytes, {
          onFrame(header, buffer, start, end) {
            kinds.push(header.kind);
            if (header.kind === 2) bodies.push(buffer.subarray(start, end));
          },
          onOversized() {},
          onOpening: () => undefined,
        });
        expect(malformed).toBeUndefined();
        expect(kinds).toEqual([5, 2, 4]);
        expect(bodies[0]?.equals(body)).toBe(true);
      }
    }
  });

  test("every position in the buffer is safe: frames up to and over its end", () => {
    for (let filler = 3900; filler <= 4100; filler++) {
      const encoder = new FrameEncoder();
      encoder.writer.raw(Buffer.alloc(filler));
      const metadata = new Metadata({ key: "value" });
      encoder.beginCall(0xffff_ffff, 0xffff, 0xffff_ffff, { metadata }, 5);
      encoder.writer.raw(hex("0102"));
      encoder.endBody();
      const { frames } = decodeChunks([encoder.writer.view().subarray(filler)]);
      expect(frames).toMatchObject([{ call_id: 0xffff_ffff, body: "0102" }]);
    }
  });

  test("abort takes back exactly the last frame, open or closed", () => {
    const encoder = new FrameEncoder();
    encodeFrame(encoder, ping(1));
    const before = encoder.writer.finish();
    encoder.beginCall(1, 1, 500, { serviceName: "S", methodName: "M" }, 1);
    encoder.writer.raw(Buffer.alloc(10_000));
    encoder.abort();
    expect(encoder.writer.finish()).toEqual(before);
    encodeFrame(encoder, { kind: "CALL", call_id: 1, body: "ff".repeat(300) });
    encoder.abort();
    expect(encoder.writer.finish()).toEqual(before);
    encodeFrame(encoder, ping(2));
    expect(decodeChunks([encoder.writer.view()]).frames).toEqual([ping(1), ping(2)]);
  });

  test("time left beyond a uint32 is sent as the largest, never as less", () => {
    const encoder = new FrameEncoder();
    encoder.beginCall(1, 1, 2 ** 32, undefined, 1);
    encoder.endBody();
    expect(decodeChunks([encoder.writer.view()]).frames).toMatchObject([{ timeout_ms: 0xffff_ffff }]);
  });

  test("the first byte of every header is the kind's tag", () => {
    fc.assert(fc.property(anyFrame, (frame) => encodedFrame(frame)[4] === 0x20));
  });

  test("metadata of every kind comes back as it was: text, binary, empty, repeated, in order", () => {
    const metadata = [
      { key: "a", text: "x" },
      { key: "b", binary: "00ff" },
      { key: "a", text: "" },
      { key: "a", binary: "" },
      { key: "z.-_9", text: "\u{1f600} 十" },
    ];
    const frame: VectorFrame = { kind: "CALL", call_id: 1, metadata };
    expect(decodeChunks([encodedFrame(frame)]).frames).toEqual([frame]);
  });
});
