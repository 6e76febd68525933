import { isUtf8 } from "node:buffer";
import { emptyBytes, NumberReader, outOfRange, scratch } from "./number-reader.js";
import { roomForUnknown } from "./unknown.js";
import { putVarint, varintBytes } from "./varint.js";

export { emptyBytes } from "./number-reader.js";

/** A `bytes` field up to this size is copied out; a larger one is a view, since copying costs more than what it keeps alive. */
const copiedBytesMax = 16 * 1024;

/** Nested messages deeper than this are refused, so that a hostile body cannot exhaust the stack. */
export const nestingMax = 100;

/** Up to this many bytes a string is decoded here, while it is ASCII: for longer ones a call into C++ costs less. */
const shortStringMax = 12;

/** Node's Buffer has this, `toString` without its argument checks; the type declarations do not name it. */
interface SlicingBuffer {
  utf8Slice(start: number, end: number): string;
}

/**
 * Reads protobuf from a Buffer. The method names are protobufjs's; 64-bit fields come as bigint, `bytes` as a Buffer
 * that does not keep a whole network chunk alive. One Reader is used for many messages: `reset` points it at the next.
 *
 * Every method throws `RangeError` when the bytes end too early, `Error` for bytes that mean nothing.
 */
export class Reader extends NumberReader {
  bytes(): Buffer {
    const length = this.uint32();
    const start = this.take(length);
    if (length === 0) return emptyBytes;
    if (length > copiedBytesMax && !this.shared) return this.buf.subarray(start, start + length);
    const copy = Buffer.allocUnsafe(length);
    const buf = this.buf;
    if (length <= 32) for (let i = 0; i < length; i++) copy[i] = buf[start + i] as number;
    else copy.set(buf.subarray(start, start + length));
    return copy;
  }

  /** Bytes that are no UTF-8 read as U+FFFD. */
  string(): string {
    return this.#text(false);
  }

  /** As `string`, but throws for bytes that are no UTF-8, as proto3 asks. */
  stringVerify(): string {
    return this.#text(true);
  }

  #text(verify: boolean): string {
    const length = this.uint32();
    const start = this.take(length);
    const buf = this.buf;
    if (length <= shortStringMax) {
      const text = shortAscii(buf, start, start + length);
      if (text !== undefined) return text;
    }
    const text = (buf as unknown as SlicingBuffer).utf8Slice(start, start + length);
    // A replaced byte shows as U+FFFD, which text may also hold by right; only then are the bytes looked at again.
    if (verify && text.includes("\ufffd") && !isUtf8(buf.subarray(start, start + length))) {
      throw new Error("invalid UTF-8 in a string field");
    }
    return text;
  }

  /** Reads the length of a nested message and gives where it ends; throws when that is beyond `end`. */
  nested(end: number): number {
    const stop = this.uint32() + this.pos;
    if (stop > end) throw outOfRange(this, stop - this.pos);
    return stop;
  }

  /**
   * Where the group that `tag` opened ends: in front of its closing tag, which is read when the group's fields are. Throws
   * for a group that is not closed before `end`.
   */
  group(tag: number, end: number): number {
    const start = this.pos;
    const closing = tag + 1;
    for (;;) {
      const stop = this.pos;
      if (stop >= end) throw new RangeError(`the group of field ${tag >>> 3} is not closed`);
      const inner = this.tag();
      if (inner === closing) {
        this.pos = start;
        return stop;
      }
      this.skipField(inner, 1);
    }
  }

  /** Throws unless the message that ends at `end` was read exactly to its end. */
  finish(end: number): void {
    if (this.pos !== end)
      throw new RangeError(`a field goes beyond the end of its message: ${this.pos} > ${end}`);
  }

  /** Keeps a field that this program does not know with `message`, for encoding it again. */
  keepUnknown(message: object, tag: number): void {
    const start = this.pos;
    this.skipField(tag);
    this.keepField(message, tag, start);
  }

  /** Keeps the field whose value was read from `start` on. */
  keepField(message: object, tag: number, start: number): void {
    const length = this.pos - start;
    const { buffer, at } = roomForUnknown(message, varintBytes(tag) + length);
    this.buf.copy(buffer, putVarint(buffer, at, tag), start, start + length);
  }

  /** Keeps one number of a packed list that its closed enum does not have, as a field of its own. */
  keepEnum(message: object, tag: number, value: number): void {
    const negative = value < 0;
    const length = negative ? 10 : varintBytes(value);
    const { buffer, at } = roomForUnknown(message, varintBytes(tag) + length);
    const next = putVarint(buffer, at, tag);
    if (!negative) putVarint(buffer, next, value);
    else {
      // Ten bytes: the sign fills the upper half.
      scratch.setBigInt64(0, BigInt(value));
      let rest = scratch.getBigUint64(0);
      for (let i = 0; i < 9; i++, rest >>= 7n) buffer[next + i] = Number(rest & 127n) | 128;
      buffer[next + 9] = 1;
    }
  }

  /** Passes over the value of a field this program does not know. */
  skipField(tag: number, depth = 0): void {
    if (tag >>> 3 === 0) throw new Error(`invalid field key ${tag}: field number 0`);
    switch (tag & 7) {
      case 0:
        this.longVarint32();
        return;
      case 1:
        this.take(8);
        return;
      case 2:
        this.take(this.uint32());
        return;
      case 3: {
        if (depth >= nestingMax) throw new Error(`groups nested deeper than ${nestingMax}`);
        const closing = tag + 1;
        for (let inner = this.tag(); inner !== closing; inner = this.tag()) this.skipField(inner, depth + 1);
        return;
      }
      case 5:
        this.take(4);
        return;
      default:
        throw new Error(`invalid wire type ${tag & 7} of field ${tag >>> 3}`);
    }
  }

  /** Passes over a value of wire type 0, 1, 2 or 5, when its field number does not matter. */
  skipType(wireType: number): void {
    this.skipField(8 | wireType);
  }

  /** Moves past `count` bytes. */
  skip(count: number): this {
    this.take(count);
    return this;
  }
}

/** Four characters at a time, each by one call; undefined for what is not ASCII. */
function shortAscii(buf: Buffer, start: number, end: number): string | undefined {
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const a = buf[at] as number;
    const b = buf[at + 1] as number;
    const c = buf[at + 2] as number;
    const d = buf[at + 3] as number;
    if ((a | b | c | d) > 127) return undefined;
    text += String.fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const byte = buf[at] as number;
    if (byte > 127) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}
