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

/** The body of a call whose caller is not known yet, as it comes. Its bytes are not returned to the caller's window, which bounds them. */
export class EarlyBody {
  readonly #owner: EarlyBodyOwner;
  readonly #wait: CallerWait;
  readonly #chunks: Buffer[] = [];
  /** It is complete. */
  ended = false;

  constructor(owner: EarlyBodyOwner, wait: CallerWait) {
    this.#owner = owner;
    this.#wait = wait;
  }

  add(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.#owner.keep(end - start);
  }

  /** The caller is known: the call gets what has come. */
  pass(): void {
    const owner = this.#owner;
    for (const chunk of this.#chunks) {
      // A call that has ended, by an earlier chunk or at once, has given back all it held.
      if (!owner.ended) owner.keep(-chunk.length);
      owner.onData(owner.stream, chunk, 0, chunk.length, false);
    }
    if (this.ended) owner.onTrailers();
  }

  /** The call ends while it waits: what has come is nobody's. */
  drop(): void {
    this.#wait.leave();
    for (const chunk of this.#chunks) this.#owner.stream.consumed(chunk.length);
  }
}
