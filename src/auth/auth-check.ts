import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Caller } from "./caller.js";

/** A call that waits until its caller is known. */
export interface CheckWaiter {
  /** Called once, unless `leave` was called before. */
  onChecked(outcome: Caller | RpcError): void;
}

/** The check of a token of one connection; all calls with this token wait for the same answer. */
export class AuthCheck {
  readonly #waiters = new Set<CheckWaiter>();
  readonly #onSettled: (outcome: Caller | RpcError) => void;
  #outcome: Caller | RpcError | undefined;
  /** Aborted when it has settled, by its answer or because no call waits any more. */
  readonly #abort = new AbortController();

  /** `onSettled` gets the outcome before the waiting calls. */
  constructor(onSettled: (outcome: Caller | RpcError) => void) {
    this.#onSettled = onSettled;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get outcome(): Caller | RpcError | undefined {
    return this.#outcome;
  }

  wait(waiter: CheckWaiter): void {
    this.#waiters.add(waiter);
  }

  /** The call has ended. */
  leave(waiter: CheckWaiter): void {
    if (!this.#waiters.delete(waiter)) return;
    if (this.#waiters.size > 0 || this.#outcome !== undefined) return;
    this.settle(new RpcError(Status.CANCELLED, messages.checkGivenUp));
  }

  /** Only the first outcome counts. */
  settle(outcome: Caller | RpcError): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#abort.abort();
    this.#onSettled(outcome);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.onChecked(outcome);
  }
}
