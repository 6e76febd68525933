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
 */
export const callScope = new AsyncLocalStorage<ParentCall | undefined>();

/** Starts what outlives the call it happens to start in, e.g. a connection: it must not be taken for a part of it. */
export function outsideOfCalls<T>(start: () => T): T {
  return callScope.run(undefined, start);
}
