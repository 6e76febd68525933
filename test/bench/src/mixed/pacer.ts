import type { Caller, Load } from "../target.js";

/** How often it looks at the clock; between two looks a few calls may be due. */
const lookEveryMs = 2;

/**
 * Makes large calls at an even pace, whether the earlier ones have ended or not, as a stream of uploads does; but no more
 * than `inFlightMax` at a time: a connection that cannot carry the pace then shows it in the bytes that were moved.
 */
export class Pacer {
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #calls = new Set<Promise<unknown>>();
  #due = 0;
  #made = 0;
  #failure: unknown;

  constructor(
    caller: Caller,
    { payloadBytes, callsPerSecond }: NonNullable<Load["besides"]>,
    inFlightMax = 16,
  ) {
    const { callOnce } = caller;
    if (callOnce === undefined) throw new Error("this target makes no large calls besides");
    this.#timer = setInterval(() => {
      this.#due = Math.floor(((performance.now() - this.#startMs) * callsPerSecond) / 1000);
      while (this.#made + this.#calls.size < this.#due && this.#calls.size < inFlightMax) {
        const call = callOnce(payloadBytes).then(
          () => {
            this.#made += 1;
          },
          (error: unknown) => {
            this.#failure ??= error;
          },
        );
        this.#calls.add(call);
        void call.finally(() => this.#calls.delete(call));
      }
    }, lookEveryMs);
  }

  /** Resolves when the last reply is in; rejects with the first failure of a call. */
  async stop(): Promise<{ made: number; elapsedMs: number }> {
    clearInterval(this.#timer);
    const elapsedMs = performance.now() - this.#startMs;
    const made = this.#made;
    await Promise.all(this.#calls);
    if (this.#failure !== undefined) throw this.#failure;
    return { made, elapsedMs };
  }
}
