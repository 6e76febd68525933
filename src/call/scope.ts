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
 * Carries the running call to the calls its handler makes, across every await. One for the process, since an async
 * context belongs to the process and not to an application.
 *
 * On Node 20 an AsyncLocalStorage in use makes every promise of the process dearer, so a process pays only from its
 * first channel on: without one there is no call that could inherit anything.
 */
class CallScope {
  readonly #storage = new AsyncLocalStorage<ParentCall>();
  #inUse = false;

  /** A channel was made: handlers that start from now on pass their call on. */
  use(): void {
    this.#inUse = true;
  }

  run<Call extends ParentCall>(call: Call, handler: (call: Call) => unknown): unknown {
    return this.#inUse ? this.#storage.run(call, handler, call) : handler(call);
  }

  /**
   * Runs `start` outside of every call: what lives longer than the call that happens to start it (a connection, its
   * timers) must not keep that call, nor pass it on.
   */
  outside<T>(start: () => T): T {
    return this.#inUse ? this.#storage.exit(start) : start();
  }

  get current(): ParentCall | undefined {
    return this.#inUse ? this.#storage.getStore() : undefined;
  }
}

export const callScope = new CallScope();
