/**
 * Limits how often a peer may cause useless work: `burst` times at once, and `perSecond` times in
 * the long run; useful traffic restores it sooner.
 */
export class Allowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #countedMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#countedMs = nowMs;
  }

  /** False: the limit is exceeded. */
  spend(nowMs: number): boolean {
    this.#left--;
    if (this.#left >= 0) return true;
    const earned = ((nowMs - this.#countedMs) * this.#perSecond) / 1000;
    this.#countedMs = nowMs;
    this.#left = Math.min(this.#burst, this.#left + earned);
    return this.#left >= 0;
  }

  /** Useful data was received or sent. */
  earn(): void {
    if (this.#left < this.#burst) this.#left++;
  }
}
