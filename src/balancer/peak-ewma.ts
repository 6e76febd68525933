/** Time constant of the average, ms (Finagle). */
const tauMs = 10_000;
/** The load of an endpoint that has calls in flight and has answered none yet: high, so that one probe is enough. */
const unknownLoad = 1e9;

/**
 * Latency as Finagle's peak EWMA sees it: a rise counts at once, a fall only as time passes. Without calls the memory
 * of an old peak fades too.
 */
export class PeakEwma {
  #costMs = 0;
  #stampMs = 0;

  /** A call took `elapsedMs`. */
  observe(elapsedMs: number, nowMs: number): void {
    if (elapsedMs > this.#costMs) this.#costMs = elapsedMs;
    else {
      const weight = Math.exp(-Math.max(0, nowMs - this.#stampMs) / tauMs);
      this.#costMs = this.#costMs * weight + elapsedMs * (1 - weight);
    }
    this.#stampMs = nowMs;
  }

  /** A call was given up after `elapsedMs`: its real latency would have been longer by an unknown amount. */
  observeAtLeast(elapsedMs: number, nowMs: number): void {
    if (elapsedMs > this.#costMs) this.observe(elapsedMs, nowMs);
  }

  /** Latency times the calls in flight, including a new one. */
  load(inFlight: number, nowMs: number): number {
    if (this.#costMs === 0) return inFlight === 0 ? 0 : unknownLoad + inFlight;
    const faded = this.#costMs * Math.exp(-Math.max(0, nowMs - this.#stampMs) / tauMs);
    return faded * (inFlight + 1);
  }
}
