import type { Reachable } from "./upload/persist.js";
import { wait } from "./upload/wait.js";

const probeMinMs = 1000;
const probeMaxMs = 15_000;

/** Whether the disk answers at all. While it does not it is asked again and again, and at once when the browser is online again. */
export class Connection implements Reachable {
  readonly #probe: () => Promise<unknown>;
  readonly #listeners = new Set<() => void>();
  #lost = false;

  /** `probe` is a request whose fate is reported here too. */
  constructor(probe: () => Promise<unknown>) {
    this.#probe = probe;
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** Called whenever it is lost, and whenever it is back. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(answered: boolean): void {
    if (answered !== this.#lost) return;
    this.#lost = !answered;
    if (this.#lost) void this.#search();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Rejects with the signal's reason. */
  whenBack(signal: AbortSignal): Promise<void> {
    if (!this.#lost) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        unsubscribe();
        reject(signal.reason);
      };
      const unsubscribe = this.subscribe(() => {
        if (this.#lost) return;
        unsubscribe();
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  async #search(): Promise<void> {
    for (let pauseMs = probeMinMs; this.#lost; pauseMs = Math.min(probeMaxMs, pauseMs * 2)) {
      await pauseOrOnline(pauseMs);
      // What it rejects with has been reported.
      if (this.#lost) await this.#probe().catch(() => {});
    }
  }
}

/** Whichever comes first; somebody who comes back to the tab need not wait either. */
async function pauseOrOnline(pauseMs: number): Promise<void> {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  addEventListener("online", end);
  document.addEventListener("visibilitychange", end);
  await wait(pauseMs, controller.signal).catch(() => {});
  removeEventListener("online", end);
  document.removeEventListener("visibilitychange", end);
}
