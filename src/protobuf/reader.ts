import { isUtf8 } from "node:buffer";
import { roomForUnknown } from "./unknown.js";
import { putVarint, varintBytes } from "./varint.js";

/** A `bytes` field up to this size is copied out; a larger one is a view, since copying costs more than what it keeps alive. */
const copiedBytesMax = 16 * 1024;

/** Nested messages deeper than this are refused, so that a hostile body cannot exhaust the stack. */
export const nestingMax = 100;

/** What a `bytes` field is when nothing was sent. One object serves all: it has no byte that could be changed. */
export const emptyBytes: Buffer = Buffer.alloc(0);

/** Up to this many bytes a string is decoded here, while it is ASCII: for longer ones a call into C++ costs less. */
const shortStringMax = 12;

const scratch = new DataView(new ArrayBuffer(8));

/** Whether a number of this machine has its lowest byte first, as on the wire. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);
const floats = new Float32Array(1);
const floatBytes = new Uint8Array(floats.buffer);

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
export class Reader {
  buf: Buffer;
  /** Where the next read begins. */
  pos = 0;
  /** Where the readable bytes end. */
  len: number;
  /** The bytes lie in memory that will be used again: nothing read may be a view of it. */
  #shared = false;

  constructor(buffer: Buffer = emptyBytes) {
    this.buf = buffer;
    this.len = buffer.length;
  }

  /** Points the reader at `buffer[start..end)`. `shared`: the memory is used again, so nothing read may be a view of it. */
  reset(buffer: Buffer, start: number, end: number, shared = false): this {
    this.buf = buffer;
    this.pos = start;
    this.len = end;
    this.#shared = shared;
    return this;
  }

  /** Lets the bytes go: a reader that rests must not keep them alive. */
  release(): void {
    this.buf = emptyBytes;
    this.pos = this.len = 0;
  }

  /** The key of the next field: field number * 8 + wire type. */
  tag(): number {
    const pos = this.pos;
    if (pos < this.len) {
      const byte = this.buf[pos] as number;
      if (byte < 128) {
        this.pos = pos + 1;
        return byte;
      }
    }
    return this.#longVarint32();
  }

  uint32(): number {
    const pos = this.pos;
    if (pos < this.len) {
      const byte = this.buf[pos] as number;
      if (byte < 128) {
        this.pos = pos + 1;
        return byte;
      }
    }
    return this.#longVarint32();
  }

  /** Bits above 32 are dropped, as protobuf does: a negative int32 comes in ten bytes. */
  #longVarint32(): number {
    const { buf, len } = this;
    let { pos } = this;
    // All five bytes are there: looked at without asking each time whether there is one more.
    if (len - pos >= 5) {
      let byte = buf[pos] as number;
      let value = byte & 127;
      if (byte < 128) return this.#moved(pos + 1, value);
      byte = buf[pos + 1] as number;
      value |= (byte & 127) << 7;
      if (byte < 128) return this.#moved(pos + 2, value);
      byte = buf[pos + 2] as number;
      value |= (byte & 127) << 14;
      if (byte < 128) return this.#moved(pos + 3, value);
      byte = buf[pos + 3] as number;
      value |= (byte & 127) << 21;
      if (byte < 128) return this.#moved(pos + 4, value);
      byte = buf[pos + 4] as number;
      value |= (byte & 127) << 28;
      if (byte < 128) return this.#moved(pos + 5, value >>> 0);
    }
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= len) throw outOfRange(this, 1);
      const byte = buf[pos++] as number;
      // Shift counts wrap at 32 in JavaScript, so the bytes beyond are only passed over.
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) {
        this.pos = pos;
        return value >>> 0;
      }
    }
    throw new Error("invalid varint encoding: longer than 10 bytes");
  }

  #moved(pos: number, value: number): number {
    this.pos = pos;
    return value;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    const pos = this.pos;
    if (pos < this.len) {
      const byte = this.buf[pos] as number;
      if (byte < 128) {
        this.pos = pos + 1;
        return byte !== 0;
      }
    }
    return this.uint64n() !== 0n;
  }

  uint64n(): bigint {
    this.#varint64();
    return scratch.getBigUint64(0);
  }

  int64n(): bigint {
    this.#varint64();
    return scratch.getBigInt64(0);
  }

  /** Leaves a varint's 64 bits in `scratch`, gathered in plain numbers. */
  #varint64(): void {
    const { buf, len } = this;
    let { pos } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= len) throw outOfRange(this, 1);
      const byte = buf[pos++] as number;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= bits << 31;
      if (byte < 128) {
        this.pos = pos;
        scratch.setInt32(0, high);
        scratch.setInt32(4, low);
        return;
      }
    }
    throw new Error("invalid varint encoding: longer than 10 bytes");
  }

  sint64n(): bigint {
    const value = this.uint64n();
    return (value >> 1n) ^ -(value & 1n);
  }

  // 64-bit fields as numbers, for code generated with `--int64 number` or `[jstype = JS_NUMBER]`. `name` is what an error
  // calls the field. Each throws `RangeError` for a value that a number cannot hold exactly.

  int64Number(name: string): number {
    this.#varint64();
    return exact(scratch.getInt32(0), name);
  }

  uint64Number(name: string): number {
    this.#varint64();
    return exact(scratch.getUint32(0), name);
  }

  sint64Number(name: string): number {
    scratch.setBigInt64(0, this.sint64n());
    return exact(scratch.getInt32(0), name);
  }

  fixed64Number(name: string): number {
    this.#fixed64();
    return exact(scratch.getUint32(0), name);
  }

  sfixed64Number(name: string): number {
    this.#fixed64();
    return exact(scratch.getInt32(0), name);
  }

  fixed32(): number {
    return this.sfixed32() >>> 0;
  }

  sfixed32(): number {
    const at = this.#take(4);
    const buf = this.buf;
    return (
      (buf[at] as number) |
      ((buf[at + 1] as number) << 8) |
      ((buf[at + 2] as number) << 16) |
      ((buf[at + 3] as number) << 24)
    );
  }

  fixed64n(): bigint {
    this.#fixed64();
    return scratch.getBigUint64(0);
  }

  sfixed64n(): bigint {
    this.#fixed64();
    return scratch.getBigInt64(0);
  }

  float(): number {
    const at = this.#take(4);
    const buf = this.buf;
    if (!littleEndian) return buf.readFloatLE(at);
    floatBytes[0] = buf[at] as number;
    floatBytes[1] = buf[at + 1] as number;
    floatBytes[2] = buf[at + 2] as number;
    floatBytes[3] = buf[at + 3] as number;
    return floats[0] as number;
  }

  double(): number {
    const at = this.#take(8);
    const buf = this.buf;
    if (!littleEndian) return buf.readDoubleLE(at);
    doubleBytes[0] = buf[at] as number;
    doubleBytes[1] = buf[at + 1] as number;
    doubleBytes[2] = buf[at + 2] as number;
    doubleBytes[3] = buf[at + 3] as number;
    doubleBytes[4] = buf[at + 4] as number;
    doubleBytes[5] = buf[at + 5] as number;
    doubleBytes[6] = buf[at + 6] as number;
    doubleBytes[7] = buf[at + 7] as number;
    return doubles[0] as number;
  }

  /** Appends the packed int32s up to `stop`, which is within the bytes. */
  packedInt32(stop: number, into: number[]): void {
    const { buf } = this;
    let { pos } = this;
    while (pos < stop) {
      const first = buf[pos] as number;
      if (first < 128) {
        into.push(first);
        pos++;
      } else if (stop - pos >= 3 && (buf[pos + 1] as number) < 128) {
        into.push((first & 127) | ((buf[pos + 1] as number) << 7));
        pos += 2;
      } else if (stop - pos >= 3 && (buf[pos + 2] as number) < 128) {
        into.push((first & 127) | (((buf[pos + 1] as number) & 127) << 7) | ((buf[pos + 2] as number) << 14));
        pos += 3;
      } else {
        this.pos = pos;
        into.push(this.int32());
        pos = this.pos;
      }
    }
    this.pos = pos;
  }

  /** Appends the packed doubles up to `stop`, which is within the bytes; what is no whole double there is left. */
  packedDouble(stop: number, into: number[]): void {
    const { buf } = this;
    let { pos } = this;
    if (!littleEndian) for (; pos + 8 <= stop; pos += 8) into.push(buf.readDoubleLE(pos));
    for (; pos + 8 <= stop; pos += 8) {
      doubleBytes[0] = buf[pos] as number;
      doubleBytes[1] = buf[pos + 1] as number;
      doubleBytes[2] = buf[pos + 2] as number;
      doubleBytes[3] = buf[pos + 3] as number;
      doubleBytes[4] = buf[pos + 4] as number;
      doubleBytes[5] = buf[pos + 5] as number;
      doubleBytes[6] = buf[pos + 6] as number;
      doubleBytes[7] = buf[pos + 7] as number;
      into.push(doubles[0] as number);
    }
    this.pos = pos;
  }

  /** Leaves eight bytes in `scratch`. */
  #fixed64(): void {
    if (this.len - this.pos < 8) throw outOfRange(this, 8);
    scratch.setInt32(4, this.sfixed32());
    scratch.setInt32(0, this.sfixed32());
  }

  /** Moves past `count` bytes and gives where they begin. */
  #take(count: number): number {
    const at = this.pos;
    if (count > this.len - at) throw outOfRange(this, count);
    this.pos = at + count;
    return at;
  }

  bytes(): Buffer {
    const length = this.uint32();
    const start = this.#take(length);
    if (length === 0) return emptyBytes;
    if (length > copiedBytesMax && !this.#shared) return this.buf.subarray(start, start + length);
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
    const start = this.#take(length);
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
        this.#longVarint32();
        return;
      case 1:
        this.#take(8);
        return;
      case 2:
        this.#take(this.uint32());
        return;
      case 3: {
        if (depth >= nestingMax) throw new Error(`groups nested deeper than ${nestingMax}`);
        const closing = tag + 1;
        for (let inner = this.tag(); inner !== closing; inner = this.tag()) this.skipField(inner, depth + 1);
        return;
      }
      case 5:
        this.#take(4);
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
    this.#take(count);
    return this;
  }
}

/** The 64 bits in `scratch` as a number, of whose upper half `high` is. */
function exact(high: number, name: string): number {
  const value = high * 0x1_0000_0000 + scratch.getUint32(4);
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(
    `${name}: the value is beyond 2^53, which a number cannot hold; generate it as bigint`,
  );
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

function outOfRange(reader: Reader, count: number): RangeError {
  return new RangeError(`index out of range: ${reader.pos} + ${count} > ${reader.len}`);
}
