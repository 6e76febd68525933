import { Status } from "../../../error/status.js";
import { varintBytes } from "../../../protobuf/varint.js";
import { copyAll, Writer } from "../../../protobuf/writer.js";
import { chunkHeaderMaxBytes } from "./chunk-header.js";
import { Field, Kind, type RareFields, writeRareFields } from "./header.js";
import { MessageBody } from "./message-body.js";

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

/** Of messages that may leave in chunks, `bytes` from this size on are not copied into the frame. */
const borrowedMinBytes = 64 * 1024;

/** Room for the length prefix and every fixed field of a header, so that these are written without further checks. */
const fixedPartBytes = 64;

/**
 * Appends mprpc/2 frames to one Writer, in place. A frame with a body is `call` or `reply`, then the message encoded
 * into `writer`, then `endBody`; if encoding fails, `abort` takes the whole frame back.
 *
 * A message with large `bytes` is not whole in the writer then: the frame must become one that announces it (`detachBody`, `takeBody`), or be
 * completed with a copy (`keepBody`).
 */
export class FrameEncoder {
  readonly writer = new Writer(0);
  #start = 0;
  #sizeAt = 0;
  #bodyAt = 0;
  #bodyBytes = 0;

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
    // The promise of a oneway call settles before its message was sent.
    if (callId === 0) writer.borrowFromBytes = copyAll;
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
  chunk(callId: number, body: MessageBody, count: number): void {
    const { writer } = this;
    this.#begin(Kind.CHUNK);
    this.#number(tag.callId, callId);
    writer.uint32(tag.argsSize).uint32(count);
    this.#writeHeaderSize(writer.position);
    writer.ensure(count);
    body.copy(writer.buffer, writer.position, count);
    writer.position += count;
  }

  /** Closes the frame; returns the size of its body. */
  endBody(): number {
    const { writer } = this;
    writer.borrowFromBytes = copyAll;
    const written = writer.position - this.#bodyAt;
    const size = written + writer.borrowedBytes;
    this.#bodyBytes = size;
    const guessed = this.#bodyAt - this.#sizeAt;
    const needed = varintBytes(size);
    if (needed !== guessed) {
      const bodyAt = this.#sizeAt + needed;
      if (needed > guessed) writer.ensure(needed - guessed);
      writer.buffer.copyWithin(bodyAt, this.#bodyAt, writer.position);
      if (writer.borrowedBytes > 0) writer.moveBorrowed(this.#bodyAt, needed - guessed);
      this.#bodyAt = bodyAt;
      this.#writeHeaderSize(bodyAt);
    }
    writer.position = this.#sizeAt;
    writer.uint32(size);
    writer.position += written;
    return size;
  }

  /** Keeps the frame just closed as it is, with its message in it. */
  keepBody(): void {
    if (this.writer.borrowedBytes > 0) this.writer.copyBorrowed();
  }

  /** Size of the header of the last frame with a body; exact only after `endBody`. */
  get headerBytes(): number {
    return this.#bodyAt - this.#start - 4;
  }

  /** Size of the body of the last frame that was closed. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Turns the frame just closed into one that announces its message, and returns the message. */
  detachBody(): MessageBody {
    const { writer } = this;
    const sizeBytes = this.#bodyBytes;
    const kept = this.#sizeAt - 1;
    const body = this.#giveOut(kept);
    writer.uint32(messageSizeTag).uint32(sizeBytes);
    this.#writeHeaderSize(writer.position);
    return body;
  }

  /** Removes the frame just closed, and returns its message like `detachBody`, to be announced later. */
  takeBody(): MessageBody {
    return this.#giveOut(this.#start);
  }

  /** `kept`: what of the writer's buffer stays. */
  #giveOut(kept: number): MessageBody {
    const { writer } = this;
    const end = writer.position;
    const start = this.#bodyAt;
    const { borrowed } = writer;
    const buffer = writer.detach();
    writer.raw(buffer.subarray(0, kept));
    if (borrowed.length > 0) {
      const parts: Uint8Array[] = [];
      let at = start;
      for (const one of borrowed) {
        parts.push(buffer.subarray(at, one.at), one.bytes);
        at = one.at;
      }
      parts.push(buffer.subarray(at, end));
      return new MessageBody(buffer, parts, true);
    }
    if (start >= chunkHeaderMaxBytes) return new MessageBody(buffer, [buffer.subarray(start, end)], false);
    // It may be announced under a longer call number than the one it was encoded behind.
    const roomy = Buffer.allocUnsafeSlow(chunkHeaderMaxBytes + end - start);
    buffer.copy(roomy, chunkHeaderMaxBytes, start, end);
    return new MessageBody(roomy, [roomy.subarray(chunkHeaderMaxBytes)], false);
  }

  /** Turns the frame just begun into one that announces its message of `sizeBytes`. */
  announceBody(sizeBytes: number): void {
    const { writer } = this;
    writer.borrowFromBytes = copyAll;
    writer.position = this.#sizeAt - 1;
    writer.uint32(messageSizeTag).uint32(sizeBytes);
    this.#writeHeaderSize(writer.position);
  }

  /** Removes the last frame, open or just closed. */
  abort(): void {
    const { writer } = this;
    writer.position = this.#start;
    writer.borrowFromBytes = copyAll;
    writer.dropBorrowed();
  }

  /** A frame without body: cancel, ping, pong, going-away, settings. */
  control(kind: number, callId: number, rare: RareFields | undefined): void {
    const { writer } = this;
    this.#begin(kind);
    if (callId !== 0) this.#number(tag.callId, callId);
    if (rare !== undefined) writeRareFields(writer, rare);
    this.#writeHeaderSize(writer.position);
  }

  /** Announces that the rest of this call's chunked message will not be sent. */
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
    writer.borrowFromBytes = borrowedMinBytes;
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
