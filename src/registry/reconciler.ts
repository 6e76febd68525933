import type { Clock, Timer } from "../base/clock.js";

export interface ReconcilerOptions {
  clock: Clock;
  /**
   * Establishes the desired state, whatever triggered it. Resolves with the delay before the next run, ms,
   * or `undefined` to wait for a trigger.
   */
  run: () => Promise<number | undefined>;
  /** Called with the error of `run`; resolves like `run`. */
  onError: (error: unknown) => number | undefined;
}

/**
 * Runs one task at a time, and once more if it was triggered meanwhile: any number of triggers during a run or a delay
 * cost one run. It makes a driver level-triggered: each run looks at the current state, never at the event.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  #timer: Timer | undefined;
  /** When the next run is to start, on the clock. */
  #dueMs: number | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** A run will start within `withinMs` (never synchronously), or when the current one is over. */
  trigger(withinMs = 0): void {
    if (this.#stopped) return;
    const nowMs = this.#options.clock.now();
    const dueMs = nowMs + withinMs;
    if (this.#dueMs === undefined || dueMs < this.#dueMs) this.#dueMs = dueMs;
    // An overdue run has a timer that lags behind the clock, which has jumped: set the timer again.
    else if (this.#dueMs >= nowMs) return;
    if (this.#running === undefined) this.#arm();
  }

  /** No run starts any more; resolves when the current one is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#stopped || this.#dueMs === undefined) return;
    const { clock } = this.#options;
    this.#timer = clock.setTimer(() => this.#start(), Math.max(0, this.#dueMs - clock.now()));
  }

  #start(): void {
    this.#dueMs = undefined;
    this.#running = this.#options
      .run()
      .catch(this.#options.onError)
      .then((nextMs) => {
        this.#running = undefined;
        if (nextMs !== undefined) this.trigger(nextMs);
        this.#arm();
      });
  }
}
