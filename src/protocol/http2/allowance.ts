/**
 * How often a peer may do what costs us work and brings it nothing. It may do so `burst` times at once, and `perSecond` times in
 * the long run; what is of use gives it back sooner.
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

  /** False: it was once too often. */
  spend(nowMs: number): boolean {
    this.#left--;
    if (this.#left >= 0) return true;
    const earned = ((nowMs - this.#countedMs) * this.#perSecond) / 1000;
    this.#countedMs = nowMs;
    this.#left = Math.min(this.#burst, this.#left + earned);
    return this.#left >= 0;
  }

  /** Something of use has come or gone. */
  earn(): void {
    if (this.#left < this.#burst) this.#left++;
  }
}
