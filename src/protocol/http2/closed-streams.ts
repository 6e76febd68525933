/** How many streams that we ended first are remembered: their frames may arrive until the peer has seen the end. */
const lateMax = 1024;
/** How many streams are remembered that both sides have ended, to tell a peer what it does wrong. */
const endedMax = 64;

/** Remembers closed streams. */
export class ClosedStreams {
  readonly #late = new Set<number>();
  readonly #ended: number[] = new Array(endedMax).fill(0);
  #next = 0;
  /** The newest of those that were remembered, and no longer are. */
  #forgotten = 0;

  /** Frames may still arrive, and are ignored. */
  addLate(streamId: number): void {
    this.#late.add(streamId);
    if (this.#late.size <= lateMax) return;
    for (const oldest of this.#late) {
      this.#late.delete(oldest);
      this.#forgotten = Math.max(this.#forgotten, oldest);
      break;
    }
  }

  /** Of one that may have been forgotten too: thousands may be refused before their peer hears of it. */
  isLate(streamId: number): boolean {
    if (this.#late.has(streamId)) return true;
    const opened = streamId <= this.#forgotten && streamId % 2 === this.#forgotten % 2;
    return opened && !this.hasEnded(streamId);
  }

  addEnded(streamId: number): void {
    this.#ended[this.#next] = streamId;
    this.#next = (this.#next + 1) % endedMax;
  }

  hasEnded(streamId: number): boolean {
    return this.#ended.includes(streamId);
  }
}
