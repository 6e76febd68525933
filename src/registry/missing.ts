import { formatAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { Endpoint, Snapshot } from "./registry.js";

/**
 * What a new list lacks but is not believed to be gone yet. After the registry was away providers register again, each at
 * its own pace, and a list read in between would take endpoints from callers that serve all the time.
 */
export class MissingEndpoints {
  readonly #clock: Clock;
  readonly #emptyGraceMs: number;
  /** Until then, on the clock, endpoints that are missing are kept. */
  #keepUntilMs = 0;
  /** When an empty list was first read after one that was not. */
  #emptySinceMs: number | undefined;

  /** `emptyGraceMs`: how long an empty list is not believed after one that was not. */
  constructor(clock: Clock, emptyGraceMs: number) {
    this.#clock = clock;
    this.#emptyGraceMs = emptyGraceMs;
  }

  /** Endpoints that are missing are kept for so long from now on. */
  keepFor(ms: number): void {
    this.#keepUntilMs = this.#clock.now() + ms;
  }

  /** Whether endpoints that are missing are kept now because the registry has just come back. */
  get keeping(): boolean {
    return this.#clock.now() < this.#keepUntilMs;
  }

  /** What of `before` is kept although the list `now` lacks it, and when to look again. */
  keptOf(
    before: Snapshot | undefined,
    now: readonly Endpoint[],
  ): { kept: readonly Endpoint[]; againMs?: number } {
    const nowMs = this.#clock.now();
    // What a saved list has, and the registry does not, is gone.
    const known = before === undefined || before.hint ? [] : before.endpoints;
    const found = new Set(now.map(formatAddress));
    const missing = known.filter((endpoint) => !found.has(formatAddress(endpoint)));
    if (now.length > 0) this.#emptySinceMs = undefined;
    else if (missing.length > 0) this.#emptySinceMs ??= nowMs;
    const emptyUntilMs = this.#emptySinceMs === undefined ? 0 : this.#emptySinceMs + this.#emptyGraceMs;
    const untilMs = Math.max(this.#keepUntilMs, emptyUntilMs);
    if (missing.length === 0 || nowMs >= untilMs) {
      this.#emptySinceMs = undefined;
      return { kept: [] };
    }
    return { kept: missing, againMs: untilMs - nowMs };
  }
}
