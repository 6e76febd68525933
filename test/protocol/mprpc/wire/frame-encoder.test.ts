import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Metadata } from "../../../../src/base/metadata.js";
import { FrameDecoder } from "../../../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameEncoder } from "../../../../src/protocol/mprpc/wire/frame-encoder.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { anyFrame, ping } from "./frames-support.js";
import { decodeChunks, encodedFrame, encodeFrame, hex, type VectorFrame } from "./vectors.js";

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
        encoder.keepBody();
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
