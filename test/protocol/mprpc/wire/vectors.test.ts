import { describe, expect, test } from "vitest";
import {
  frameClassicReply,
  readClassicRequest,
  writeClassicRequest,
} from "../../../../src/protocol/classic/classic-wire.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { detectProtocol } from "../../detect/detectors.js";
import { cutAt, decodeChunks, encodedFrame, hex, inPieces, vectors } from "./vectors.js";

const { bodyMaxBytes } = defaultWireLimits;

test("names are unique in each list", () => {
  for (const list of Object.values(vectors)) {
    if (!Array.isArray(list)) continue;
    const names = list.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }
});

describe.each(vectors.frames)("frame $name", ({ hex: text, frame }) => {
  test("is written as these bytes", () => {
    expect(encodedFrame(frame).toString("hex")).toBe(text);
  });

  test("is read from these bytes, whole or in any two pieces", () => {
    const bytes = hex(text);
    for (let at = 0; at <= bytes.length; at++) {
      expect(decodeChunks(cutAt(bytes, at))).toEqual({ frames: [frame], malformed: undefined });
    }
    expect(decodeChunks(inPieces(bytes, 1)).frames).toEqual([frame]);
  });

  test("is not there before its last byte", () => {
    const bytes = hex(text);
    for (let end = 0; end < bytes.length; end++) {
      expect(decodeChunks([bytes.subarray(0, end)])).toEqual({ frames: [], malformed: undefined });
    }
  });
});

test.each(vectors.decodeOnly)("$name", ({ hex: text, bodyMaxBytes: max, frames }) => {
  const bytes = hex(text);
  const limits = max === undefined ? {} : { bodyMaxBytes: max };
  for (let at = 0; at <= bytes.length; at++) {
    expect(decodeChunks(cutAt(bytes, at), limits)).toEqual({ frames, malformed: undefined });
  }
  expect(decodeChunks(inPieces(bytes, 1), limits).frames).toEqual(frames);
});

test.each(vectors.malformed)("malformed: $name", ({ hex: text }) => {
  const bytes = hex(text);
  for (let at = 0; at <= bytes.length; at++) {
    const { frames, malformed } = decodeChunks(cutAt(bytes, at));
    expect(frames).toEqual([]);
    expect(malformed).toMatch(/header|chunk/);
  }
  expect(decodeChunks(inPieces(bytes, 1)).malformed).toMatch(/header|chunk/);
});

test.each(vectors.malformedLater)("malformed behind a good frame: $name", ({ hex: text }) => {
  const bytes = hex(text);
  for (let at = 0; at <= bytes.length; at++) {
    const { frames, malformed } = decodeChunks(cutAt(bytes, at));
    expect(frames).toHaveLength(1);
    expect(malformed).toMatch(/message/);
  }
});

test.each(vectors.detection)("$name is told as $result", ({ hex: text, result }) => {
  const detection = detectProtocol(hex(text));
  expect(detection.kind === "classic" ? detection.dialect : detection.kind).toBe(result);
});

describe.each(vectors.classic)("classic $name", (vector) => {
  const { dialect, service, method } = vector;
  const request = hex(vector.request);

  test("is written as these bytes", () => {
    const bytes = writeClassicRequest(dialect, service, method, (writer) => writer.raw(hex(vector.args)));
    expect(bytes.toString("hex")).toBe(vector.request);
  });

  test("is read from these bytes, and not before the last of them", () => {
    for (let end = 0; end < request.length; end++) {
      const result = readClassicRequest(request.subarray(0, end), 0, dialect, bodyMaxBytes);
      expect(result.kind).toBe("need-more");
    }
    const result = readClassicRequest(request, 0, dialect, bodyMaxBytes);
    if (result.kind !== "request") throw new Error(result.kind);
    const { bodyStart, bodyEnd } = result.request;
    expect(result.request).toMatchObject({ service, method });
    expect(request.subarray(bodyStart, bodyEnd).toString("hex")).toBe(vector.args);
    expect(result.end).toBe(request.length);
  });

  test("its reply is framed as these bytes", () => {
    expect(frameClassicReply(dialect, hex(vector.response)).toString("hex")).toBe(vector.reply);
  });
});

test.each(vectors.classicMalformed)("malformed $dialect request: $name", ({ dialect, hex: text }) => {
  expect(readClassicRequest(hex(text), 0, dialect, bodyMaxBytes).kind).toBe("malformed");
});
