/** What a `bytes` field is when nothing was sent. One object serves all: it has no byte that could be changed. */
export const emptyBytes: Buffer = Buffer.alloc(0);

export const scratch = new DataView(new ArrayBuffer(8));

/** Whether a number of this machine has its lowest byte first, as on the wire. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);
const floats = new Float32Array(1);
const floatBytes = new Uint8Array(floats.buffer);

/** The part of `Reader` that knows numbers: of fixed and of variable length, alone and in packed lists. */
export class NumberReader {
  buf: Buffer;
  /** Where the next read begins. */
  pos = 0;
  /** Where the readable bytes end. */
  len: number;
  /** The bytes lie in memory that will be used again: nothing read may be a view of it. */
  protected shared = false;

  constructor(buffer: Buffer = emptyBytes) {
    this.buf = buffer;
    this.len = buffer.length;
  }

  /** Points the reader at `buffer[start..end)`. `shared`: the memory is used again, so nothing read may be a view of it. */
  reset(buffer: Buffer, start: number, end: number, shared = false): this {
    this.buf = buffer;
    this.pos = start;
    this.len = end;
    this.shared = shared;
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
    return this.longVarint32();
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
    return this.longVarint32();
  }

  /** Bits above 32 are dropped, as protobuf does: a negative int32 comes in ten bytes. */
  protected longVarint32(): number {
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
    const at = this.take(4);
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
    const at = this.take(4);
    const buf = this.buf;
    if (!littleEndian) return buf.readFloatLE(at);
    floatBytes[0] = buf[at] as number;
    floatBytes[1] = buf[at + 1] as number;
    floatBytes[2] = buf[at + 2] as number;
    floatBytes[3] = buf[at + 3] as number;
    return floats[0] as number;
  }

  double(): number {
    const at = this.take(8);
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
  protected take(count: number): number {
    const at = this.pos;
    if (count > this.len - at) throw outOfRange(this, count);
    this.pos = at + count;
    return at;
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

export function outOfRange(reader: NumberReader, count: number): RangeError {
  return new RangeError(`index out of range: ${reader.pos} + ${count} > ${reader.len}`);
}
