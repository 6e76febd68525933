import { AsyncLocalStorage } from "node:async_hooks";
import type { RpcError } from "../error/rpc-error.js";

/** Something a call cancels when it is cancelled itself. */
export interface Cancellable {
  cancel(reason: RpcError): void;
}

/** The call whose handler is running: what nested calls inherit. */
export interface ParentCall {
  /** On the clock of the runtime; `Infinity`: none. */
  readonly deadlineMs: number;
  readonly cancelReason: RpcError | undefined;
  addChild(child: Cancellable): void;
  removeChild(child: Cancellable): void;
}

/**
 * Makes the running call available to the calls its handler makes, across every await. One per process, since async
 * context belongs to the process and not to an application.
 *
 * On Node 20 an AsyncLocalStorage in use slows down every promise of the process, so it is enabled only by the
 * first channel: without a channel no call could inherit anything.
 */
class CallScope {
  readonly #storage = new AsyncLocalStorage<ParentCall>();
  #inUse = false;

  /** A channel was created: handlers that start from now on are visible to nested calls. */
  use(): void {
    this.#inUse = true;
  }

  run<Call extends ParentCall>(call: Call, handler: (call: Call) => unknown): unknown {
    return this.#inUse ? this.#storage.run(call, handler, call) : handler(call);
  }

  /**
   * Runs `start` outside of every call: a connection and its timers outlive the call that happens to start them,
   * and must neither retain it nor inherit from it.
   */
  outside<T>(start: () => T): T {
    return this.#inUse ? this.#storage.exit(start) : start();
  }

  get current(): ParentCall | undefined {
    return this.#inUse ? this.#storage.getStore() : undefined;
  }
}

export const callScope = new CallScope();
