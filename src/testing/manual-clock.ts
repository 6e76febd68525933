import type { Clock, Timer } from "../base/clock.js";

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the event loop a message may need to cross a `MemoryNetwork` and be answered. */
const turnsPerStep = 6;

/**
 * A clock that stands still until it is told to move, so that an hour of timeouts is tested in a moment and always in
 * the same order.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #wallOffsetMs: number;
  /** By due time, then by age. */
  #pending: Pending[] = [];
  #orders = 0;

  /** `startMs` is the first answer of `now()`; default 1,000,000. `wallNow()` starts at 2024-01-01T00:00:00Z. */
  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = Date.UTC(2024, 0, 1) - startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs);
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer: Pending = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#orders++,
      callback,
    };
    let at = this.#pending.length;
    while (at > 0 && (this.#pending[at - 1] as Pending).dueMs > timer.dueMs) at--;
    this.#pending.splice(at, 0, timer);
    return {
      cancel: () => {
        const index = this.#pending.indexOf(timer);
        if (index >= 0) this.#pending.splice(index, 1);
      },
    };
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#pending.length;
  }

  /**
   * Moves the time by `ms` and runs the timers that fall due, in the order of their times; each sees its own time, and
   * timers they set run too if they fall due. Nothing else runs meanwhile: no promise, no message.
   */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#runNext(endMs));
    this.#nowMs = endMs;
  }

  /** As for a process that was stopped or busy for `ms`: the time is gone first, and the timers fire late. */
  jump(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }

  /** Like `advance`, but after each timer the event loop turns, so that promises settle and messages arrive. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (this.#runNext(endMs)) await settle();
    this.#nowMs = endMs;
    await settle();
  }

  #runNext(endMs: number): boolean {
    const next = this.#pending[0];
    if (next === undefined || next.dueMs > endMs) return false;
    this.#pending.shift();
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.callback();
    return true;
  }
}

/** Lets the event loop turn until what was under way in this process has arrived, the virtual time standing still. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < turnsPerStep; turn++) await new Promise((resolve) => setImmediate(resolve));
}
