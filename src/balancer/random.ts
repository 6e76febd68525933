import type { Balancer, Candidate } from "./balancer.js";

/** Any endpoint, by weight. */
export class RandomChoice<C extends Candidate> implements Balancer<C> {
  readonly #random: () => number;
  #candidates: readonly C[] = [];
  /** Running sums of the weights. */
  #sums: number[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  update(candidates: readonly C[]): void {
    this.#candidates = candidates;
    let sum = 0;
    this.#sums = candidates.map(({ weight }) => {
      sum += weight;
      return sum;
    });
  }

  pick(): C | undefined {
    const total = this.#sums.at(-1) ?? 0;
    const point = this.#random() * total;
    let low = 0;
    let high = this.#sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sums[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return this.#candidates[low];
  }
}
