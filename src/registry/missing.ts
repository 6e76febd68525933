import { formatAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { Endpoint, Snapshot } from "./registry.js";

/**
 * Endpoints that a new list lacks but that are kept for a while. After an outage of the registry providers register again, each
 * at its own pace, and a list read in between would lack endpoints that are serving.
 */
export class MissingEndpoints {
  readonly #clock: Clock;
  readonly #emptyGraceMs: number;
  /** Missing endpoints are kept until this time of the clock. */
  #keepUntilMs = 0;
  /** When an empty list was first read after a non-empty one. */
  #emptySinceMs: number | undefined;

  /** `emptyGraceMs`: how long an empty list is ignored after a non-empty one. */
  constructor(clock: Clock, emptyGraceMs: number) {
    this.#clock = clock;
    this.#emptyGraceMs = emptyGraceMs;
  }

  /** Missing endpoints are kept for this long from now on. */
  keepFor(ms: number): void {
    this.#keepUntilMs = this.#clock.now() + ms;
  }

  /** Whether missing endpoints are kept because the registry has just come back. */
  get keeping(): boolean {
    return this.#clock.now() < this.#keepUntilMs;
  }

  /** The endpoints of `before` that are kept although `now` lacks them, and when to check again. */
  keptOf(
    before: Snapshot | undefined,
    now: readonly Endpoint[],
  ): { kept: readonly Endpoint[]; againMs?: number } {
    const nowMs = this.#clock.now();
    // Endpoints only in a saved list are really gone.
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
