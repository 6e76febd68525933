import { Status } from "../../../error/status.js";
import { varintBytes } from "../../../protobuf/varint.js";
import { Writer } from "../../../protobuf/writer.js";
import { Field, Kind, type RareFields, writeRareFields } from "./header.js";

/** Tags of fields 3 to 8 as varints: each is one byte. */
const tag = {
  argsSize: Field.ARGS_SIZE << 3,
  kind: Field.KIND << 3,
  callId: Field.CALL_ID << 3,
  methodIndex: Field.METHOD_INDEX << 3,
  timeoutMs: Field.TIMEOUT_MS << 3,
  status: Field.STATUS << 3,
};
/** This one takes two bytes. */
const messageSizeTag = Field.MESSAGE_SIZE << 3;

/** A uint32 on the wire: about 49 days. */
const timeoutMaxMs = 0xffff_ffff;

/** The longest header of a chunk: the size of the header, then kind, call number and size of the body. */
const chunkHeaderMaxBytes = 4 + 2 + 6 + 6;

/** A message that was encoded behind its header and is now `buffer[start..end)`, with room for a chunk's header in front. */
export interface DetachedBody {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Room for the length prefix and every fixed field of a header, so that these are written without further checks. */
const fixedPartBytes = 64;

/**
 * Appends mprpc/2 frames to one Writer, in place. A frame with a body is `call` or `reply`, then the message encoded
 * into `writer`, then `endBody`; if encoding fails, `abort` takes the whole frame back.
 */
export class FrameEncoder {
  readonly writer = new Writer(0);
  #start = 0;
  #sizeAt = 0;
  #bodyAt = 0;

  /**
   * `timeoutMs`: whole milliseconds, negative for no deadline; more than a uint32 is sent as the largest.
   * `sizeBytesGuess`: how many bytes the varint of the body size will take; a wrong guess costs a move of the body.
   */
  beginCall(
    callId: number,
    methodIndex: number,
    timeoutMs: number,
    rare: RareFields | undefined,
    sizeBytesGuess: number,
  ): void {
    const { writer } = this;
    this.#begin(Kind.CALL);
    if (callId !== 0) this.#number(tag.callId, callId);
    if (methodIndex !== 0) this.#number(tag.methodIndex, methodIndex);
    if (timeoutMs >= 0) this.#number(tag.timeoutMs, Math.min(timeoutMs, timeoutMaxMs));
    if (rare !== undefined) {
      writeRareFields(writer, rare);
      writer.ensure(8);
    }
    this.#beginBody(sizeBytesGuess);
  }

  beginReply(callId: number, status: number, rare: RareFields | undefined, sizeBytesGuess: number): void {
    const { writer } = this;
    this.#begin(Kind.REPLY);
    this.#number(tag.callId, callId);
    if (status !== 0) this.#number(tag.status, status);
    if (rare !== undefined) {
      writeRareFields(writer, rare);
      writer.ensure(8);
    }
    this.#beginBody(sizeBytesGuess);
  }

  /** A message of a stream. */
  beginMessage(callId: number, sizeBytesGuess: number): void {
    this.#begin(Kind.MESSAGE);
    this.#number(tag.callId, callId);
    this.#beginBody(sizeBytesGuess);
  }

  /** `count` bytes, the next part of the message of this call that was announced. */
  chunk(callId: number, buffer: Buffer, start: number, count: number): void {
    const { writer } = this;
    this.#begin(Kind.CHUNK);
    this.#number(tag.callId, callId);
    writer.uint32(tag.argsSize).uint32(count);
    this.#writeHeaderSize(writer.position);
    writer.raw(buffer.subarray(start, start + count));
  }

  /** Closes the frame; returns the size of its body. */
  endBody(): number {
    const { writer } = this;
    const size = writer.position - this.#bodyAt;
    const guessed = this.#bodyAt - this.#sizeAt;
    const needed = varintBytes(size);
    if (needed !== guessed) {
      const bodyAt = this.#sizeAt + needed;
      if (needed > guessed) writer.ensure(needed - guessed);
      writer.buffer.copyWithin(bodyAt, this.#bodyAt, writer.position);
      this.#bodyAt = bodyAt;
      this.#writeHeaderSize(bodyAt);
    }
    writer.position = this.#sizeAt;
    writer.uint32(size);
    writer.position += size;
    return size;
  }

  /** Size of the header of the last frame with a body; exact only after `endBody`. */
  get headerBytes(): number {
    return this.#bodyAt - this.#start - 4;
  }

  /** Size of the body of the last frame that was closed. */
  get bodyBytes(): number {
    return this.writer.position - this.#bodyAt;
  }

  /**
   * Makes the frame just closed one that says its message comes in chunks, and gives the message out: `buffer[start..end)`,
   * the buffer now the caller's alone, with room for the header of a chunk in front.
   */
  detachBody(): DetachedBody {
    const { writer } = this;
    const end = writer.position;
    const start = this.#bodyAt;
    const kept = this.#sizeAt - 1;
    const buffer = writer.detach();
    writer
      .raw(buffer.subarray(0, kept))
      .uint32(messageSizeTag)
      .uint32(end - start);
    this.#writeHeaderSize(writer.position);
    return { buffer, start, end };
  }

  /** Takes the frame just closed back, and gives its message out as `detachBody` does, to be announced later. */
  takeBody(): DetachedBody {
    const { writer } = this;
    const end = writer.position;
    const start = this.#bodyAt;
    const kept = this.#start;
    const buffer = writer.detach();
    writer.raw(buffer.subarray(0, kept));
    if (start >= chunkHeaderMaxBytes) return { buffer, start, end };
    // It may be announced under a longer call number than the one it was encoded behind.
    const roomy = Buffer.allocUnsafeSlow(chunkHeaderMaxBytes + end - start);
    buffer.copy(roomy, chunkHeaderMaxBytes, start, end);
    return { buffer: roomy, start: chunkHeaderMaxBytes, end: roomy.length };
  }

  /** Makes the frame just begun one that says its message of `sizeBytes` comes in chunks. */
  announceBody(sizeBytes: number): void {
    const { writer } = this;
    writer.position = this.#sizeAt - 1;
    writer.uint32(messageSizeTag).uint32(sizeBytes);
    this.#writeHeaderSize(writer.position);
  }

  /** Takes back the last frame, open or just closed. */
  abort(): void {
    this.writer.position = this.#start;
  }

  /** A frame without body: cancel, ping, pong, going-away, settings. */
  control(kind: number, callId: number, rare: RareFields | undefined): void {
    const { writer } = this;
    this.#begin(kind);
    if (callId !== 0) this.#number(tag.callId, callId);
    if (rare !== undefined) writeRareFields(writer, rare);
    this.#writeHeaderSize(writer.position);
  }

  /** Says that the rest of the message of this call, which is sent in chunks, does not come. */
  giveUpMessage(callId: number): void {
    this.#begin(Kind.CHUNK);
    if (callId !== 0) this.#number(tag.callId, callId);
    this.#number(tag.status, Status.CANCELLED);
    this.#writeHeaderSize(this.writer.position);
  }

  #begin(kind: number): void {
    const { writer } = this;
    writer.ensure(fixedPartBytes);
    this.#start = writer.position;
    writer.position += 4;
    writer.buffer[writer.position++] = tag.kind;
    writer.buffer[writer.position++] = kind;
  }

  #number(fieldTag: number, value: number): void {
    const { writer } = this;
    const { buffer } = writer;
    let at = writer.position;
    buffer[at++] = fieldTag;
    if (value < 1 << 7) buffer[at++] = value;
    else if (value < 1 << 14) {
      // What most call numbers and timeouts are.
      buffer[at++] = value | 128;
      buffer[at++] = value >>> 7;
    } else {
      writer.position = at;
      writer.uint32(value);
      return;
    }
    writer.position = at;
  }

  #beginBody(sizeBytesGuess: number): void {
    const { writer } = this;
    writer.buffer[writer.position++] = tag.argsSize;
    this.#sizeAt = writer.position;
    writer.position += sizeBytesGuess;
    this.#bodyAt = writer.position;
    this.#writeHeaderSize(this.#bodyAt);
  }

  #writeHeaderSize(headerEnd: number): void {
    const buffer = this.writer.buffer;
    const size = headerEnd - this.#start - 4;
    const at = this.#start;
    buffer[at] = size;
    buffer[at + 1] = size >>> 8;
    buffer[at + 2] = size >>> 16;
    buffer[at + 3] = size >>> 24;
  }
}

/**
 * Writes the header of a chunk of `size` bytes right in front of `buffer[at]`; returns where it begins. A `DetachedBody` has
 * room for it: the header of the CALL or REPLY it was encoded behind had these fields and more.
 */
export function writeChunkHeader(buffer: Buffer, at: number, callId: number, size: number): number {
  const callBytes = callId === 0 ? 0 : 1 + varintBytes(callId);
  const headerBytes = 3 + callBytes + varintBytes(size);
  const start = at - 4 - headerBytes;
  let position = buffer.writeUInt32LE(headerBytes, start);
  buffer[position++] = tag.kind;
  buffer[position++] = Kind.CHUNK;
  if (callId !== 0) {
    buffer[position++] = tag.callId;
    position = writeVarint(buffer, position, callId);
  }
  buffer[position++] = tag.argsSize;
  writeVarint(buffer, position, size);
  return start;
}

/** Returns the position behind it. */
function writeVarint(buffer: Buffer, at: number, value: number): number {
  let position = at;
  let rest = value;
  for (; rest > 127; rest >>>= 7) buffer[position++] = (rest & 127) | 128;
  buffer[position++] = rest;
  return position;
}
