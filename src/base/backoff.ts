export interface BackoffOptions {
  /** Delay before the second attempt, ms. */
  initialMs: number;
  /** The delay never grows beyond it, ms. */
  maxMs: number;
  /** Each delay is the last times this. */
  factor: number;
  /** 0.2 spreads each delay by +-20 %; `"full"` draws it from 0..delay (AWS "full jitter"). */
  jitter: number | "full";
}

/** Reconnecting to a peer: gRPC's connection-backoff figures. */
export const subchannelBackoff: BackoffOptions = {
  initialMs: 1000,
  maxMs: 120_000,
  factor: 1.6,
  jitter: 0.2,
};

/** Reconnecting to the registry: capped low, because everything else waits for it. */
export const registryBackoff: BackoffOptions = { initialMs: 100, maxMs: 2000, factor: 2, jitter: "full" };

/** Exponential backoff with jitter. `random` returns 0 <= x < 1 and is passed in so that a seed repeats a run. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #nextMs: number;

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
    this.#nextMs = options.initialMs;
  }

  /** The delay before the next attempt, ms; each call moves on to the next one. */
  next(): number {
    const { maxMs, factor, jitter } = this.#options;
    const delayMs = Math.min(this.#nextMs, maxMs);
    this.#nextMs = Math.min(delayMs * factor, maxMs);
    if (jitter === "full") return delayMs * this.#random();
    return delayMs * (1 + jitter * (2 * this.#random() - 1));
  }

  reset(): void {
    this.#nextMs = this.#options.initialMs;
  }
}
