import { emptyBytes } from "../../protobuf/reader.js";
import type { OutgoingField, PreparedHeaders } from "./wire/hpack-encoder.js";

/** With more unsent bytes than this, writes to a stream report back-pressure. */
const roomBytes = 64 * 1024;

/** Pieces that are gone are cut off the list when there are this many. */
const cutAtPieces = 64;

/** The data of a stream that cannot be sent yet. */
export class OutgoingData {
  bytes = 0;
  /** Behind it, our half of the stream is over. */
  ends = false;
  trailers:
    | { readonly prepared: PreparedHeaders | undefined; readonly extra: readonly OutgoingField[] | undefined }
    | undefined = undefined;
  /** It is in the list of those that may send. */
  listed = false;
  readonly #pieces: Buffer[] = [];
  /** The first piece that is left, and how much of it is gone. */
  #first = 0;
  #at = 0;

  get hasRoom(): boolean {
    return this.bytes < roomBytes;
  }

  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** Moves the first `count` bytes to `target`. */
  take(target: Buffer, at: number, count: number): void {
    let position = at;
    let left = count;
    while (left > 0) {
      const piece = this.#pieces[this.#first] as Buffer;
      const size = Math.min(left, piece.length - this.#at);
      piece.copy(target, position, this.#at, this.#at + size);
      position += size;
      left -= size;
      this.#at += size;
      if (this.#at === piece.length) this.#dropFirst();
    }
    this.bytes -= count;
  }

  #dropFirst(): void {
    this.#at = 0;
    // Release it at once: it may be large, and the list is trimmed only sometimes.
    this.#pieces[this.#first] = emptyBytes;
    this.#first++;
    if (this.#first === this.#pieces.length || this.#first >= cutAtPieces) {
      this.#pieces.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
