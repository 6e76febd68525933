/** Streams that we ended before the peer did: frames of them may come for as long as the peer has not seen that. */
const lateMax = 1024;
/** How many streams are remembered that both sides have ended, to tell a peer what it does wrong. */
const endedMax = 64;

/** What is known of streams that are no more. */
export class ClosedStreams {
  readonly #late = new Set<number>();
  readonly #ended: number[] = new Array(endedMax).fill(0);
  #next = 0;

  /** Frames may still come, and are passed over. */
  addLate(streamId: number): void {
    this.#late.add(streamId);
    if (this.#late.size <= lateMax) return;
    for (const oldest of this.#late) {
      this.#late.delete(oldest);
      break;
    }
  }

  isLate(streamId: number): boolean {
    return this.#late.has(streamId);
  }

  addEnded(streamId: number): void {
    this.#ended[this.#next] = streamId;
    this.#next = (this.#next + 1) % endedMax;
  }

  hasEnded(streamId: number): boolean {
    return this.#ended.includes(streamId);
  }
}
