import type { Attempt, CallCarrier } from "../call/attempt.js";
import type { RpcError } from "../error/rpc-error.js";

/** Waiting attempts, first in, first out. */
export class PendingQueue implements CallCarrier {
  readonly #attempts = new Set<Attempt>();
  readonly #max: number;

  /** More than `max` attempts are refused. */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#attempts.size;
  }

  get isFull(): boolean {
    return this.#attempts.size >= this.#max;
  }

  add(attempt: Attempt): void {
    attempt.handTo(this, "connect");
    this.#attempts.add(attempt);
  }

  /** Takes them out one by one while `more` says so. */
  *take(more: () => boolean): Generator<Attempt> {
    for (const attempt of [...this.#attempts]) {
      if (!more()) return;
      // An attempt taken before may have abandoned others.
      if (this.#attempts.delete(attempt)) yield attempt;
    }
  }

  fail(error: () => RpcError): void {
    const attempts = [...this.#attempts];
    this.#attempts.clear();
    for (const attempt of attempts) attempt.onFailure(error());
  }

  abandon(attempt: Attempt): boolean {
    return this.#attempts.delete(attempt);
  }
}
