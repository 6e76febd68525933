import type { Clock, Timer } from "../../src/base/clock.js";

const beatMs = 5;

interface Due {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A real clock that a test can put forward, for peers that know nothing of it. */
export class JumpingClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Due>();
  readonly #beat: NodeJS.Timeout;
  #aheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beat = setInterval(() => this.#fire(), beatMs);
  }

  now(): number {
    return this.#clock.now() + this.#aheadMs;
  }

  wallNow(): number {
    return this.#clock.wallNow() + this.#aheadMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer: Due = { dueMs: this.now() + delayMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Puts it forward; what falls due by that comes at once. */
  jump(ms: number): void {
    this.#aheadMs += ms;
    this.#fire();
  }

  #fire(): void {
    const nowMs = this.now();
    for (const timer of [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)) {
      if (timer.dueMs > nowMs || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }

  stop(): void {
    clearInterval(this.#beat);
  }
}
