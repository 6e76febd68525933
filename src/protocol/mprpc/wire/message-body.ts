import { chunkHeaderMaxBytes, writeChunkHeader } from "./chunk-header.js";

/**
 * If a message references the user's memory, its last chunk has at most this many bytes, and they are copied. It is sent after all
 * others: a call that ends earlier has abandoned its message, and after the last chunk the user's memory is no longer needed.
 */
const copiedTailBytes = 16 * 1024;

/** A message sent in chunks. */
export class MessageBody {
  readonly sizeBytes: number;
  /** What is still to go, bytes. */
  leftBytes: number;
  /** The buffer it was encoded into; not used otherwise until everything was sent. */
  readonly buffer: Buffer;
  /** What is still to go: the last one is reached first. */
  readonly #parts: Uint8Array[];
  /** Some parts are the user's own memory. */
  readonly #borrows: boolean;

  /**
   * `parts`: all of the message, in its order. Without memory of the user's it is one part of `buffer`, with room in front of it for
   * the header of a chunk.
   */
  constructor(buffer: Buffer, parts: Uint8Array[], borrows: boolean) {
    this.buffer = buffer;
    this.#parts = parts.reverse();
    this.#borrows = borrows;
    this.sizeBytes = this.leftBytes = parts.reduce((sum, { length }) => sum + length, 0);
  }

  /** The next chunk, of at most `mostBytes`, behind its header: to be written in one go. */
  next(callId: number, mostBytes: number): Uint8Array[] {
    return this.#borrows ? this.#nextBorrowed(callId, mostBytes) : this.#nextOwn(callId, mostBytes);
  }

  /** The header goes over bytes that have left: those in front of the message, or of its chunk before. */
  #nextOwn(callId: number, mostBytes: number): Uint8Array[] {
    const part = this.#parts[0] as Uint8Array;
    const size = Math.min(part.length, mostBytes);
    const at = part.byteOffset - this.buffer.byteOffset;
    const from = writeChunkHeader(this.buffer, at, callId, size);
    this.#parts[0] = part.subarray(size);
    this.leftBytes -= size;
    return [this.buffer.subarray(from, at + size)];
  }

  #nextBorrowed(callId: number, mostBytes: number): Uint8Array[] {
    const left = this.leftBytes;
    if (left <= copiedTailBytes) {
      const chunk = Buffer.allocUnsafe(chunkHeaderMaxBytes + left);
      const from = writeChunkHeader(chunk, chunkHeaderMaxBytes, callId, left);
      this.copy(chunk, chunkHeaderMaxBytes, left);
      return [chunk.subarray(from)];
    }
    const size = Math.min(left - copiedTailBytes, mostBytes);
    const header = Buffer.allocUnsafe(chunkHeaderMaxBytes);
    const chunk: Uint8Array[] = [
      header.subarray(writeChunkHeader(header, chunkHeaderMaxBytes, callId, size)),
    ];
    this.#take(size, (bytes) => chunk.push(bytes));
    return chunk;
  }

  /** Puts the next `count` bytes at `target[at]`. */
  copy(target: Buffer, at: number, count: number): void {
    let position = at;
    this.#take(count, (bytes) => {
      target.set(bytes, position);
      position += bytes.length;
    });
  }

  #take(count: number, take: (bytes: Uint8Array) => void): void {
    this.leftBytes -= count;
    for (let left = count; left > 0; ) {
      const part = this.#parts.pop() as Uint8Array;
      const size = Math.min(part.length, left);
      if (size < part.length) this.#parts.push(part.subarray(size));
      if (size > 0) take(size < part.length ? part.subarray(0, size) : part);
      left -= size;
    }
  }
}
