import { largeBufferBytes, shelve, takeBuffer } from "./buffer-pool.js";
import { emptyBytes } from "./reader.js";
import { unknownFields, type WithUnknownFields } from "./unknown.js";
import {
  hintAtTime,
  int32Range,
  int64Range,
  invalidEnum,
  invalidValue,
  isInt64,
  isUint64,
  uint32Range,
  uint64Range,
} from "./values.js";
import { varintBytes } from "./varint.js";

/** What JavaScript has since Node 20, and the library of TypeScript only later. */
interface WellFormed {
  isWellFormed(): boolean;
}

/** Node's Buffer has this, `write` without its argument checks; the type declarations do not name it. */
interface WritingBuffer {
  utf8Write(text: string, at: number, bytesMax: number): number;
}

/** Up to this many UTF-16 units room is made for the longest a text can become, without asking how long it does. */
const roomyTextMax = 4096;

/** Room for what comes behind a large field, lengths and small fields: it would be copied once more for the want of it. */
const behindBytes = 1024;

/** `borrowFromBytes` of a writer that copies whatever it is given. */
export const copyAll = 0x3fff_ffff;

/** Bytes that were not copied: they belong in front of `buffer[at]`. */
export interface Borrowed {
  at: number;
  readonly bytes: Uint8Array;
}

const nothingBorrowed: readonly Borrowed[] = [];

/** Takes numbers apart, and bigints into the two halves of their lowest 64 bits: the upper first. */
const scratch = new DataView(new ArrayBuffer(8));

/**
 * Writes protobuf straight into one Buffer, in place: no operation list, no second copy. The method names are
 * protobufjs's, so that its readers of generated code feel at home; a nested message is written between `begin` and
 * `end`, which puts its length in front of it.
 *
 * The same Writer carries whole frames: a connection hands it from message to message and sends `view()` once a tick.
 */
export class Writer {
  buffer: Buffer;
  position = 0;
  /** Bytes from this size on are not copied but borrowed: whoever sets it sees to them. */
  borrowFromBytes = copyAll;
  /** In their order; `borrowedBytes` in all. */
  borrowed: readonly Borrowed[] = nothingBorrowed;
  borrowedBytes = 0;
  readonly #shared: boolean;

  /** With 0 bytes it takes a shared buffer when it first writes, and gives it up with `detach`. */
  constructor(initialBytes = 256) {
    // Not from Node's shared pool: a slice of that would be overwritten by nobody, but would keep 8 KiB alive.
    this.buffer = initialBytes === 0 ? emptyBytes : Buffer.allocUnsafeSlow(initialBytes);
    this.#shared = initialBytes === 0;
  }

  /** Makes room for `count` more bytes. */
  ensure(count: number): void {
    if (this.position + count > this.buffer.length) this.#grow(count);
  }

  #grow(count: number): void {
    const old = this.buffer;
    const least = Math.max(old.length * 2, this.position + count);
    const grown = this.#shared ? takeBuffer(least) : Buffer.allocUnsafeSlow(least);
    old.copy(grown, 0, 0, this.position);
    this.buffer = grown;
    if (this.#shared) shelve(old);
  }

  /** What was written, as a view of the buffer: valid until the next write, `clear` or `detach`. */
  view(): Buffer {
    return this.buffer.subarray(0, this.position);
  }

  /** What was written, as bytes of its own. */
  finish(): Buffer {
    const length = this.position;
    const bytes = Buffer.allocUnsafe(length);
    const buffer = this.buffer;
    if (length <= 32) for (let i = 0; i < length; i++) bytes[i] = buffer[i] as number;
    else buffer.copy(bytes, 0, 0, length);
    return bytes;
  }

  /** Starts again in the same buffer. */
  clear(): void {
    this.position = 0;
    if (this.buffer.length > largeBufferBytes) this.buffer = Buffer.allocUnsafeSlow(largeBufferBytes);
  }

  /** Starts again without a buffer; the old one is the caller's, to `shelve` when it is done with it. */
  detach(): Buffer {
    const { buffer } = this;
    this.position = 0;
    this.buffer = emptyBytes;
    this.dropBorrowed();
    return buffer;
  }

  #borrow(bytes: Uint8Array): this {
    this.borrowed = [...this.borrowed, { at: this.position, bytes }];
    this.borrowedBytes += bytes.length;
    return this;
  }

  /** How many borrowed bytes belong behind `buffer[from]`. */
  #borrowedFrom(from: number): number {
    return this.borrowed.reduce((sum, { at, bytes }) => (at < from ? sum : sum + bytes.length), 0);
  }

  /** What was written from `buffer[from]` on has been moved by `count`. */
  moveBorrowed(from: number, count: number): void {
    for (const one of this.borrowed) if (one.at >= from) one.at += count;
  }

  /** What was borrowed is not wanted any more. */
  dropBorrowed(): void {
    if (this.borrowedBytes === 0) return;
    this.borrowed = nothingBorrowed;
    this.borrowedBytes = 0;
  }

  /** Copies what was borrowed to where it belongs. */
  copyBorrowed(): void {
    const { borrowed } = this;
    let left = this.borrowedBytes;
    this.ensure(left);
    const { buffer } = this;
    let end = this.position;
    this.position += left;
    this.dropBorrowed();
    for (const { at, bytes } of [...borrowed].reverse()) {
      buffer.copyWithin(at + left, at, end);
      left -= bytes.length;
      buffer.set(bytes, at + left);
      end = at;
    }
  }

  uint32(value: number): this {
    let at = this.position;
    if (at + 5 > this.buffer.length) this.#grow(5);
    const buffer = this.buffer;
    let rest = value >>> 0;
    while (rest > 127) {
      buffer[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.position = at;
    return this;
  }

  /** A negative int32 takes ten bytes, as protobuf demands. */
  int32(value: number): this {
    const whole = value | 0;
    return whole >= 0 ? this.uint32(whole) : this.#varint64(whole >>> 0, 0xffff_ffff);
  }

  sint32(value: number): this {
    return this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  uint64(value: bigint | number): this {
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff) return this.uint32(value);
    scratch.setBigUint64(0, BigInt(value));
    return this.#varint64(scratch.getUint32(4), scratch.getUint32(0));
  }

  int64(value: bigint | number): this {
    return this.uint64(value);
  }

  sint64(value: bigint | number): this {
    const whole = BigInt(value);
    return this.uint64((whole << 1n) ^ (whole >> 63n));
  }

  #varint64(low: number, high: number): this {
    this.ensure(10);
    const buffer = this.buffer;
    let at = this.position;
    let lo = low;
    let hi = high;
    while (hi !== 0) {
      buffer[at++] = (lo & 127) | 128;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    this.position = at;
    return this.uint32(lo);
  }

  bool(value: boolean): this {
    this.ensure(1);
    this.buffer[this.position++] = value ? 1 : 0;
    return this;
  }

  fixed32(value: number): this {
    this.ensure(4);
    const buffer = this.buffer;
    const at = this.position;
    // Stored bytes are cut to their lowest 8 bits.
    buffer[at] = value;
    buffer[at + 1] = value >>> 8;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 24;
    this.position = at + 4;
    return this;
  }

  sfixed32(value: number): this {
    return this.fixed32(value);
  }

  fixed64(value: bigint | number): this {
    scratch.setBigUint64(0, BigInt(value));
    return this.fixed32(scratch.getInt32(4)).fixed32(scratch.getInt32(0));
  }

  sfixed64(value: bigint | number): this {
    return this.fixed64(value);
  }

  float(value: number): this {
    scratch.setFloat32(0, value);
    return this.fixed32(scratch.getInt32(0));
  }

  double(value: number): this {
    scratch.setFloat64(0, value);
    return this.fixed32(scratch.getInt32(4)).fixed32(scratch.getInt32(0));
  }

  /**
   * A length and the UTF-8 of `text`. Half a surrogate pair is no character: it becomes U+FFFD, or with `name`, as the
   * field is called, throws `TypeError`.
   */
  string(text: string, name?: string): this {
    // Without a length the position would become NaN, and with it everything that is written behind.
    if (typeof text !== "string")
      throw new TypeError(`${name ?? "a field"}: expected text, got ${typeof text}`);
    const length = text.length;
    if (length > 40) return this.#longString(text, name);
    // Short ASCII, the common case, byte by byte: cheaper than a call into C++. One unit is at most 3 bytes.
    this.ensure(1 + length * 3);
    const buffer = this.buffer;
    const start = this.position + 1;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) {
        return this.#longString(text, name);
      }
      buffer[start + i] = unit;
    }
    buffer[this.position] = length;
    this.position = start + length;
    return this;
  }

  #longString(text: string, name: string | undefined): this {
    const units = text.length;
    // One unit is at most 3 bytes; where their count takes as many bytes as that of the units does, its place is known.
    const prefix = varintBytes(units);
    const length =
      units <= roomyTextMax && varintBytes(units * 3) === prefix ? units * 3 : Buffer.byteLength(text);
    this.ensure(5 + length);
    const start = this.position + varintBytes(length);
    const written = (this.buffer as unknown as WritingBuffer).utf8Write(text, start, length);
    if (written !== units && name !== undefined && !(text as unknown as WellFormed).isWellFormed()) {
      throw new TypeError(`${name}: the text holds half a surrogate pair, which UTF-8 cannot carry`);
    }
    this.uint32(written);
    this.position = start + written;
    return this;
  }

  /** A length and the bytes; a string counts as its UTF-8. */
  bytes(value: Uint8Array | string): this {
    if (typeof value === "string") return this.string(value);
    return this.uint32(value.length).raw(value);
  }

  /** The bytes alone, already encoded. */
  raw(value: Uint8Array): this {
    const length = value.length;
    if (length >= this.borrowFromBytes) return this.#borrow(value);
    if (this.position + length > this.buffer.length) {
      this.#grow(length > largeBufferBytes ? length + behindBytes : length);
    }
    if (length < 24) {
      const buffer = this.buffer;
      const at = this.position;
      for (let i = 0; i < length; i++) buffer[at + i] = value[i] as number;
    } else {
      this.buffer.set(value, this.position);
    }
    this.position += length;
    return this;
  }

  // Fields, as generated code writes them: key, check, value. `name` is what an error calls the field. A key of 0 is
  // not written: that is how the elements of a packed list go. Each throws `TypeError` for a value of the wrong kind.

  uint32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || value >>> 0 !== value) {
      throw invalidValue(name, uint32Range, value);
    }
    this.#key(tag);
    this.uint32(value);
  }

  int32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.int32(value);
  }

  /** `values` and `enumName`, as the generated code has them: for the error. */
  enumField(
    tag: number,
    value: number,
    name: string,
    enumName: string,
    values: Readonly<Record<string, number>>,
  ): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidEnum(name, enumName, values, value);
    this.#key(tag);
    this.int32(value);
  }

  sint32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.sint32(value);
  }

  fixed32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || value >>> 0 !== value) {
      throw invalidValue(name, uint32Range, value);
    }
    this.#key(tag);
    this.fixed32(value);
  }

  sfixed32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.sfixed32(value);
  }

  uint64Field(tag: number, value: bigint | number, name: string): void {
    if (!isUint64(value)) throw invalidValue(name, uint64Range, value);
    this.#key(tag);
    this.uint64(value);
  }

  int64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.int64(value);
  }

  sint64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.sint64(value);
  }

  fixed64Field(tag: number, value: bigint | number, name: string): void {
    if (!isUint64(value)) throw invalidValue(name, uint64Range, value);
    this.#key(tag);
    this.fixed64(value);
  }

  sfixed64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.sfixed64(value);
  }

  floatField(tag: number, value: number, name: string): void {
    if (typeof value !== "number") throw invalidValue(name, "float (a number)", value);
    this.#key(tag);
    this.float(value);
  }

  doubleField(tag: number, value: number, name: string): void {
    if (typeof value !== "number") throw invalidValue(name, "double (a number)", value);
    this.#key(tag);
    this.double(value);
  }

  boolField(tag: number, value: boolean, name: string): void {
    if (typeof value !== "boolean") throw invalidValue(name, "bool (true or false)", value);
    this.#key(tag);
    this.bool(value);
  }

  stringField(tag: number, value: string, name: string): void {
    if (typeof value !== "string") throw invalidValue(name, "string", value);
    this.#key(tag);
    this.string(value, name);
  }

  bytesField(tag: number, value: Uint8Array | string, name: string): void {
    if (typeof value === "string") {
      this.#key(tag);
      this.string(value, name);
    } else if (value instanceof Uint8Array) {
      this.#key(tag);
      this.uint32(value.length).raw(value);
    } else throw invalidValue(name, "bytes (Uint8Array or string)", value);
  }

  /** The elements of a packed list. As `int32Field` for each of them, without a call for each. */
  packedInt32(values: readonly number[], name: string): void {
    const count = values.length;
    let { buffer, position: at } = this;
    for (let i = 0; i < count; i++) {
      const value = values[i] as number;
      if ((value | 0) !== value) throw invalidValue(name, int32Range, value);
      if (at + 10 > buffer.length) {
        this.position = at;
        this.#grow(10);
        buffer = this.buffer;
      }
      if (value < 0) {
        this.position = at;
        this.#varint64(value >>> 0, 0xffff_ffff);
        at = this.position;
      } else if (value < 0x80) {
        buffer[at++] = value;
      } else if (value < 0x4000) {
        buffer[at] = value | 128;
        buffer[at + 1] = value >>> 7;
        at += 2;
      } else {
        let rest = value;
        for (; rest > 127; rest >>>= 7) buffer[at++] = rest | 128;
        buffer[at++] = rest;
      }
    }
    this.position = at;
  }

  /** Opens a nested message; returns the mark for `end`. */
  messageField(tag: number, value: object, name: string): number {
    if (typeof value !== "object" || value === null) {
      throw invalidValue(name, "a message (an object)", value, hintAtTime(value));
    }
    return this.partField(tag);
  }

  /** Opens a group, whose closing tag is written with `uint32` when its fields are. */
  groupField(tag: number, value: object, name: string): void {
    if (typeof value !== "object" || value === null) {
      throw invalidValue(name, "a message (an object)", value, hintAtTime(value));
    }
    this.#key(tag);
  }

  /** The fields a message's type does not know, as they came. */
  unknown(message: object): void {
    const bytes = (message as WithUnknownFields)[unknownFields];
    if (bytes !== undefined) this.raw(bytes);
  }

  /** Opens a packed list or a map entry; returns the mark for `end`. */
  partField(tag: number): number {
    this.#key(tag);
    return this.begin();
  }

  #key(tag: number): void {
    if (tag > 127) this.uint32(tag);
    else if (tag !== 0) {
      if (this.position === this.buffer.length) this.#grow(1);
      this.buffer[this.position++] = tag;
    }
  }

  /** Opens a length-delimited part; returns the mark for `end`. */
  begin(): number {
    this.ensure(1);
    return ++this.position;
  }

  /** Closes the part opened at `mark`: its length goes in front, and it is moved only when that takes more than a byte. */
  end(mark: number): this {
    let length = this.position - mark;
    if (this.borrowedBytes > 0) length += this.#borrowedFrom(mark);
    if (length < 128) {
      this.buffer[mark - 1] = length;
      return this;
    }
    const extra = varintBytes(length) - 1;
    this.ensure(extra);
    const end = this.position + extra;
    this.buffer.copyWithin(mark + extra, mark, this.position);
    if (this.borrowedBytes > 0) this.moveBorrowed(mark, extra);
    this.position = mark - 1;
    this.uint32(length);
    this.position = end;
    return this;
  }
}
