import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { FrameDecoder } from "../../../../src/protocol/mprpc/wire/frame-decoder.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { allocatedBy, ping, withHeader } from "./frames-support.js";
import { cutAt, decodeChunks, encodedFrame, hex, inPieces, type VectorFrame } from "./vectors.js";

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
