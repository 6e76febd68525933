import type { Clock, Timer } from "./clock.js";

/** While this process is busy or stopped, at most one part of a wait goes by. */
const parts = 4;

/**
 * Calls back once when another process has not done in time what is awaited of it. What it sent may lie unread while this
 * process is busy (loading code, collecting garbage, a handler that computes) or stopped, and timers run before sockets are
 * looked at. So the time is counted in parts, each of which counts once however long it took, and before the callback the sockets
 * are looked at once more. Anything awaited for `timeoutMs` by a process that is not busy gets exactly that.
 */
export class PeerTimer implements Timer {
  readonly #clock: Clock;
  readonly #onTimeout: () => void;
  readonly #partMs: number;
  readonly #keepAlive: boolean;
  #partsLeft = parts;
  #timer: Timer;
  #look: NodeJS.Immediate | undefined;

  /** It does not keep the process alive unless `keepAlive`. */
  constructor(clock: Clock, onTimeout: () => void, timeoutMs: number, keepAlive = false) {
    this.#clock = clock;
    this.#onTimeout = onTimeout;
    // Node cuts fractions off, and the callback must not come early.
    this.#partMs = Math.ceil(timeoutMs / parts);
    this.#keepAlive = keepAlive;
    this.#timer = this.#arm();
  }

  /** Idempotent; after it the callback is never called. */
  cancel(): void {
    this.#timer.cancel();
    if (this.#look !== undefined) clearImmediate(this.#look);
  }

  #arm(): Timer {
    return this.#clock.setTimer(() => this.#onPart(), this.#partMs, this.#keepAlive);
  }

  #onPart(): void {
    if (--this.#partsLeft > 0) this.#timer = this.#arm();
    else this.#look = afterReading(this.#onTimeout, this.#keepAlive);
  }
}

/** Calls back when what lies in the sockets has been read: an event loop turns from timers to sockets to immediates. */
export function afterReading(callback: () => void, keepAlive = false): NodeJS.Immediate {
  const immediate = setImmediate(callback);
  return keepAlive ? immediate : immediate.unref();
}
