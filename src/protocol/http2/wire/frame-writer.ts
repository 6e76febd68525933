import type { Writer } from "../../../protobuf/writer.js";
import { Flag, FrameType, frameHeaderBytes } from "./frame.js";

/** Puts a frame's header at `at`, where there is room for it. */
export function putFrameHeader(
  buffer: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  putUint32(buffer, at + 5, streamId);
}

function putUint32(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

/** Appends a header and returns where the payload of `length` bytes goes, for which there is room. */
function begin(out: Writer, length: number, type: number, flags: number, streamId: number): number {
  out.ensure(frameHeaderBytes + length);
  const at = out.position;
  putFrameHeader(out.buffer, at, length, type, flags, streamId);
  out.position = at + frameHeaderBytes + length;
  return at + frameHeaderBytes;
}

export function writeSettings(
  out: Writer,
  settings: ReadonlyArray<readonly [id: number, value: number]>,
): void {
  let at = begin(out, settings.length * 6, FrameType.SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    out.buffer[at] = id >>> 8;
    out.buffer[at + 1] = id;
    putUint32(out.buffer, at + 2, value);
    at += 6;
  }
}

export function writeSettingsAck(out: Writer): void {
  begin(out, 0, FrameType.SETTINGS, Flag.ACK, 0);
}

/** `payload[from..from + 8)`. */
export function writePing(out: Writer, ack: boolean, payload: Uint8Array, from = 0): void {
  const at = begin(out, 8, FrameType.PING, ack ? Flag.ACK : 0, 0);
  for (let i = 0; i < 8; i++) out.buffer[at + i] = payload[from + i] as number;
}

export function writeReset(out: Writer, streamId: number, code: number): void {
  const at = begin(out, 4, FrameType.RST_STREAM, 0, streamId);
  putUint32(out.buffer, at, code);
}

export function writeWindowUpdate(out: Writer, streamId: number, increment: number): void {
  const at = begin(out, 4, FrameType.WINDOW_UPDATE, 0, streamId);
  putUint32(out.buffer, at, increment);
}

export function writeGoAway(out: Writer, lastStreamId: number, code: number, debug: string): void {
  const text = Buffer.from(debug, "latin1");
  const at = begin(out, 8 + text.length, FrameType.GOAWAY, 0, 0);
  putUint32(out.buffer, at, lastStreamId);
  putUint32(out.buffer, at + 4, code);
  out.buffer.set(text, at + 8);
}

/** Room for the header of a frame whose length is not known yet. Returns where it is. */
export function reserveFrameHeader(out: Writer): number {
  out.ensure(frameHeaderBytes);
  const at = out.position;
  out.position = at + frameHeaderBytes;
  return at;
}

/**
 * Completes a header block that was written behind a header reserved at `at`: HEADERS, and CONTINUATION frames when the peer
 * takes no frame that large.
 */
export function finishHeaders(
  out: Writer,
  at: number,
  maxFrameBytes: number,
  endStream: boolean,
  streamId: number,
): void {
  const length = out.position - at - frameHeaderBytes;
  const flags = endStream ? Flag.END_STREAM : 0;
  if (length <= maxFrameBytes) {
    putFrameHeader(out.buffer, at, length, FrameType.HEADERS, flags | Flag.END_HEADERS, streamId);
    return;
  }
  const pieces = spread(out, at, maxFrameBytes);
  for (let i = 0; i < pieces; i++) {
    const last = i === pieces - 1;
    const size = last ? length - i * maxFrameBytes : maxFrameBytes;
    const type = i === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
    const all = (i === 0 ? flags : 0) | (last ? Flag.END_HEADERS : 0);
    putFrameHeader(out.buffer, at + i * (maxFrameBytes + frameHeaderBytes), size, type, all, streamId);
  }
}

/** The same for DATA. */
export function finishData(
  out: Writer,
  at: number,
  maxFrameBytes: number,
  endStream: boolean,
  streamId: number,
): void {
  const length = out.position - at - frameHeaderBytes;
  const end = endStream ? Flag.END_STREAM : 0;
  if (length <= maxFrameBytes) {
    putFrameHeader(out.buffer, at, length, FrameType.DATA, end, streamId);
    return;
  }
  const pieces = spread(out, at, maxFrameBytes);
  for (let i = 0; i < pieces; i++) {
    const last = i === pieces - 1;
    const size = last ? length - i * maxFrameBytes : maxFrameBytes;
    const where = at + i * (maxFrameBytes + frameHeaderBytes);
    putFrameHeader(out.buffer, where, size, FrameType.DATA, last ? end : 0, streamId);
  }
}

/** Makes room for a header in front of each `maxFrameBytes` of the payload at the end of `out`. Returns how many there are. */
function spread(out: Writer, at: number, maxFrameBytes: number): number {
  const start = at + frameHeaderBytes;
  const length = out.position - start;
  const pieces = Math.ceil(length / maxFrameBytes);
  const extra = (pieces - 1) * frameHeaderBytes;
  out.ensure(extra);
  for (let i = pieces - 1; i > 0; i--) {
    const from = start + i * maxFrameBytes;
    const to = Math.min(from + maxFrameBytes, start + length);
    out.buffer.copyWithin(from + i * frameHeaderBytes, from, to);
  }
  out.position += extra;
  return pieces;
}
