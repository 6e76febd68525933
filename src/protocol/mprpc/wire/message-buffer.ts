/** First allocation for bytes that come in pieces; it grows as they really arrive, so a claimed length costs nothing. */
export const firstPieceBytes = 16 * 1024;

/** Assembles bytes that arrive in pieces, in memory of its own. */
export class MessageBuffer {
  buffer: Buffer;
  have = 0;
  /** How many bytes are needed. */
  need: number;
  readonly #pieceBytes: number;

  /** `need` is the full size, not only the size known so far. */
  sized = false;

  /** `trustedBytes`: this much may be made room for at once; `readyBytes`: there is so much room from the start. */
  constructor(need: number, trustedBytes: number, readyBytes = 0) {
    this.need = need;
    this.#pieceBytes = Math.max(trustedBytes, firstPieceBytes);
    this.buffer = Buffer.allocUnsafeSlow(Math.max(readyBytes, Math.min(need, this.#pieceBytes)));
  }

  /** `chunk` was read into `room`. */
  holds(chunk: Buffer): boolean {
    return chunk.buffer === this.buffer.buffer;
  }

  /** Raises the needed size. `sized`: it is the full size. */
  want(need: number, sized: boolean): void {
    this.need = need;
    this.sized = sized;
  }

  /** Takes `chunk[offset..offset + count)`; without a copy when the bytes were read into `room` already. */
  append(chunk: Buffer, offset: number, count: number): void {
    const total = this.have + count;
    if (chunk.buffer !== this.buffer.buffer) {
      if (total > this.buffer.length) this.#grow(total);
      chunk.copy(this.buffer, this.have, offset, offset + count);
    }
    this.have = total;
  }

  /** Where at most `most` of the next bytes may be read to. Not empty while some are missing. */
  room(most: number): Buffer {
    if (this.have === this.buffer.length) this.#grow(this.have + 1);
    return this.buffer.subarray(this.have, Math.min(this.have + most, this.buffer.length));
  }

  #grow(least: number): void {
    const wanted = Math.max(this.buffer.length * 2, this.#pieceBytes);
    const grown = Buffer.allocUnsafeSlow(Math.max(least, Math.min(this.need, wanted)));
    this.buffer.copy(grown, 0, 0, this.have);
    this.buffer = grown;
  }
}
