/**
 * The only place the library reads time from. Everything above takes a `Clock`, so a whole cluster can run in one
 * process on a virtual clock.
 */
export interface Clock {
  /** Monotonic milliseconds with a fraction; only differences mean anything. */
  now(): number;
  /** Milliseconds since the Unix epoch, for people and for log lines. Never used to measure. */
  wallNow(): number;
  /** Calls `callback` once after `delayMs` (>= 0). The timer does not keep the process alive unless `keepAlive`. */
  setTimer(callback: () => void, delayMs: number, keepAlive?: boolean): Timer;
}

export interface Timer {
  /** Idempotent; after it the callback is never called. */
  cancel(): void;
}

/** Node refuses longer delays (it fires at once instead), so longer ones are cut to it. */
const timerMaxMs = 0x7fff_ffff;

class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(callback: () => void, delayMs: number, keepAlive: boolean) {
    this.#handle = setTimeout(callback, Math.min(Math.max(0, delayMs), timerMaxMs));
    if (!keepAlive) this.#handle.unref();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer: (callback, delayMs, keepAlive = false) => new SystemTimer(callback, delayMs, keepAlive),
};

/** Keeps the process alive until the function it returns is called, where no socket and no call does. */
export function keepProcess(clock: Clock): () => void {
  let timer: Timer;
  const again = (): void => {
    timer = clock.setTimer(again, timerMaxMs, true);
  };
  again();
  return () => timer.cancel();
}
