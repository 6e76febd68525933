import type { CallerWait } from "../caller-wait.js";
import type { Http2Stream } from "../http2/stream.js";

/** The call that waits. */
export interface EarlyBodyOwner {
  readonly ended: boolean;
  readonly stream: Http2Stream;
  /** Reserves memory for bytes that are kept; negative: gives it back. */
  keep(bytes: number): void;
  onData(stream: Http2Stream, bytes: Buffer, start: number, end: number, endStream: boolean): void;
  onTrailers(): void;
}

/** Most room that is made for bytes to come, bytes. */
const roomMaxBytes = 16 * 1024;

/** Bytes that have come, with room for more. */
interface Piece {
  readonly buffer: Buffer;
  used: number;
}

/** The body of a call whose caller is not known yet, as it comes. Its bytes are not returned to the caller's window, which bounds them. */
export class EarlyBody {
  readonly #owner: EarlyBodyOwner;
  readonly #wait: CallerWait;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  /** It is complete. */
  ended = false;

  constructor(owner: EarlyBodyOwner, wait: CallerWait) {
    this.#owner = owner;
    this.#wait = wait;
  }

  add(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#append(bytes, start, end);
    this.#bytes += end - start;
    this.#owner.keep(end - start);
  }

  /** A caller may send a byte at a time, and a buffer takes much more than that: they are put together. */
  #append(bytes: Buffer, start: number, end: number): void {
    const last = this.#pieces.at(-1);
    const fitting = last === undefined ? 0 : Math.min(end - start, last.buffer.length - last.used);
    if (last !== undefined) last.used += bytes.copy(last.buffer, last.used, start, start + fitting);
    const rest = end - start - fitting;
    if (rest === 0) return;
    // The first is no larger than what has come, as most bodies are one piece.
    const buffer = Buffer.allocUnsafe(Math.max(rest, Math.min(this.#bytes, roomMaxBytes)));
    bytes.copy(buffer, 0, start + fitting, end);
    this.#pieces.push({ buffer, used: rest });
  }

  /** The caller is known: the call gets what has come. */
  pass(): void {
    const owner = this.#owner;
    for (const { buffer, used } of this.#pieces) {
      // A call that has ended, by an earlier piece or at once, has given back all it held.
      if (!owner.ended) owner.keep(-used);
      owner.onData(owner.stream, buffer, 0, used, false);
    }
    if (this.ended) owner.onTrailers();
  }

  /** The call ends while it waits: what has come is nobody's. */
  drop(): void {
    this.#wait.leave();
    if (this.#bytes > 0) this.#owner.stream.consumed(this.#bytes);
  }
}
