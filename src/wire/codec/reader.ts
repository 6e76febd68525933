import protobuf from "protobufjs/minimal.js";

/** A `bytes` field up to this size is copied out; a larger one is a view, since copying costs more than what it keeps alive. */
const copiedBytesMax = 16 * 1024;

/** Nested messages deeper than this are refused, so that a hostile body cannot exhaust the stack. */
export const nestingMax = 100;

const empty = Buffer.alloc(0);

/**
 * protobufjs's reader with 64-bit fields as bigint and `bytes` as a Buffer that does not keep a whole network chunk
 * alive. One Reader is used for many messages: `reset` points it at the next.
 */
export class Reader extends protobuf.BufferReader {
  constructor(buffer: Buffer = empty) {
    super(buffer);
  }

  /** Points the reader at `buffer[start..end)`. */
  reset(buffer: Buffer, start: number, end: number): this {
    this.buf = buffer;
    this.pos = start;
    this.len = end;
    this.view = null as never;
    return this;
  }

  uint64n(): bigint {
    let result = 0n;
    // Up to 28 bits at a time in plain numbers, so that short values never meet bigint arithmetic in the loop.
    for (let shift = 0; shift < 70; shift += 28) {
      let part = 0;
      for (let bits = 0; bits < 28 && shift + bits < 70; bits += 7) {
        if (this.pos >= this.len) throw new RangeError(`index out of range: ${this.pos} + 1 > ${this.len}`);
        const byte = this.buf[this.pos++] as number;
        part |= (byte & 127) << bits;
        if (byte < 128) {
          return BigInt.asUintN(64, shift === 0 ? BigInt(part) : result | (BigInt(part) << BigInt(shift)));
        }
      }
      result |= BigInt(part) << BigInt(shift);
    }
    throw new Error("invalid varint encoding");
  }

  int64n(): bigint {
    return BigInt.asIntN(64, this.uint64n());
  }

  sint64n(): bigint {
    const value = this.uint64n();
    return (value >> 1n) ^ -(value & 1n);
  }

  fixed64n(): bigint {
    if (this.pos + 8 > this.len) throw new RangeError(`index out of range: ${this.pos} + 8 > ${this.len}`);
    const low = BigInt(this.fixed32());
    return low | (BigInt(this.fixed32()) << 32n);
  }

  sfixed64n(): bigint {
    return BigInt.asIntN(64, this.fixed64n());
  }

  override bytes(): Buffer {
    const length = this.size();
    const start = this.pos;
    const end = start + length;
    if (end > this.len) throw new RangeError(`index out of range: ${start} + ${length} > ${this.len}`);
    this.pos = end;
    if (length === 0) return empty;
    const view = (this.buf as Buffer).subarray(start, end);
    return length <= copiedBytesMax ? Buffer.from(view) : view;
  }
}
