import { largeBufferBytes, shelve, takeBuffer } from "./buffer-pool.js";
import { emptyBytes } from "./reader.js";
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

/** The part of `Writer` that knows no fields: the buffer, and values of each kind of the wire. */
export class WireWriter {
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
    return whole >= 0 ? this.uint32(whole) : this.varint64(whole >>> 0, 0xffff_ffff);
  }

  sint32(value: number): this {
    return this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  uint64(value: bigint | number): this {
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff) return this.uint32(value);
    scratch.setBigUint64(0, BigInt(value));
    return this.varint64(scratch.getUint32(4), scratch.getUint32(0));
  }

  int64(value: bigint | number): this {
    return this.uint64(value);
  }

  sint64(value: bigint | number): this {
    const whole = BigInt(value);
    return this.uint64((whole << 1n) ^ (whole >> 63n));
  }

  protected varint64(low: number, high: number): this {
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
