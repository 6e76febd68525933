import type { Balancer, Candidate } from "./balancer.js";

/** The less loaded of two random endpoints (Mitzenmacher 2001), load over weight; follows latency without herding. */
export class PowerOfTwoChoices<C extends Candidate> implements Balancer<C> {
  readonly #random: () => number;
  #candidates: readonly C[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  update(candidates: readonly C[]): void {
    this.#candidates = candidates;
  }

  pick(nowMs: number): C | undefined {
    const candidates = this.#candidates;
    const { length } = candidates;
    if (length < 2) return candidates[0];
    const first = Math.floor(this.#random() * length);
    // Drawn from the others, so that the two are distinct.
    const second = (first + 1 + Math.floor(this.#random() * (length - 1))) % length;
    const a = candidates[first] as C;
    const b = candidates[second] as C;
    return a.load(nowMs) / a.weight <= b.load(nowMs) / b.weight ? a : b;
  }
}
