import type { Clock, Timer } from "../../base/clock.js";
import { afterReading } from "../../base/peer-timer.js";

/** Timers of one duration share a list, which is what makes thousands of them cheap: so in whole tenths of a second. */
const roundMs = 100;

/** One timer for all that a connection waits for. */
export class Watch {
  readonly #clock: Clock;
  /** Looks what is overdue, and returns when to look again: a time of the clock, or `Infinity`. */
  readonly #check: (nowMs: number) => number;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(clock: Clock, check: (nowMs: number) => number) {
    this.#clock = clock;
    this.#check = check;
  }

  /** There is something to look at, at this time at the latest. */
  by(dueMs: number): void {
    if (dueMs >= this.#dueMs || this.#stopped) return;
    this.#timer?.cancel();
    const delayMs = Math.ceil(Math.max(0, dueMs - this.#clock.now()) / roundMs) * roundMs;
    this.#dueMs = dueMs;
    // What the peer sent may lie unread.
    this.#timer = this.#clock.setTimer(() => afterReading(() => this.#look()), delayMs);
  }

  #look(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
    const nextMs = this.#check(this.#clock.now());
    if (nextMs !== Number.POSITIVE_INFINITY) this.by(nextMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
