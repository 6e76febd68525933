const emptyBytes = Buffer.alloc(0);

/**
 * Bytes that have come and are not worked on yet, at the front of a buffer that doubles: a peer may send one at a time,
 * and that must not cost a copy of all each time.
 */
export class ByteQueue {
  #buffer: Buffer = emptyBytes;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view; later bytes come behind it, and never into it. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, this.#length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  /** The first `count` bytes are worked on. */
  drop(count: number): void {
    this.#length -= count;
    this.#buffer = this.#length === 0 ? emptyBytes : this.#buffer.subarray(count);
  }
}
