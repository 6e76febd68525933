import { callGuarded } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";

/**
 * The classic `google::protobuf::RpcController`, for those who prefer asking to catching.
 *
 * At the caller: pass one to a stub; afterwards `failed()` and `errorText()` have the outcome, `startCancel()` cancels
 * the call here and at the provider. One controller serves one call at a time; `reset()` makes it ready for the next.
 *
 * In a handler: `context.controller`; `setFailed()` fails the call with a text, `isCanceled()` and `notifyOnCancel()`
 * report that the caller has cancelled.
 */
export class RpcController {
  #abort = new AbortController();
  #error: RpcError | undefined;
  #callbacks: Array<() => void> = [];
  #finished = false;
  #busy = false;
  #onCallbackError: ((thrown: unknown) => void) | undefined;

  /** Back to the initial state. Throws `Error` while its call is in flight. */
  reset(): void {
    if (this.#busy) throw new Error(messages.controllerResetInFlight);
    this.#abort = new AbortController();
    this.#error = undefined;
    this.#callbacks = [];
    this.#finished = false;
  }

  failed(): boolean {
    return this.#error !== undefined;
  }

  /** Why it failed; empty while it has not. */
  errorText(): string {
    return this.#error?.message ?? "";
  }

  /** The failure with its code and details, as a call without controller throws it. */
  get error(): RpcError | undefined {
    return this.#error;
  }

  /** Fails the call: in a handler, the caller gets `reason` with code UNKNOWN, whatever the handler returns. */
  setFailed(reason: string): void {
    this.#error = new RpcError(Status.UNKNOWN, reason, { executed: "yes" });
  }

  /** Asks that the call be cancelled. Its promise settles with CANCELLED, unless the reply was quicker. */
  startCancel(): void {
    if (!this.#abort.signal.aborted) this.#cancel();
  }

  isCanceled(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Calls `callback` exactly once: when the call is cancelled, or else when it has ended. */
  notifyOnCancel(callback: () => void): void {
    if (this.#finished || this.isCanceled()) callback();
    else this.#callbacks.push(callback);
  }

  /** Aborted by `startCancel`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * @internal A call takes the controller. Throws when another call uses it. Errors of callbacks go to
   * `onCallbackError`: they must affect neither other callbacks nor the call.
   */
  begin(onCallbackError: (thrown: unknown) => void): void {
    if (this.#busy) throw new Error(messages.controllerBusy);
    this.#onCallbackError = onCallbackError;
    this.#busy = true;
    this.#finished = false;
    this.#error = undefined;
  }

  /** @internal The call has ended, with `error` or successfully. */
  finish(error?: RpcError): void {
    this.#busy = false;
    this.#finished = true;
    if (error !== undefined) this.#error = error;
    this.#callAll();
  }

  /** @internal The peer, the deadline or `startCancel` cancelled the call. */
  #cancel(): void {
    this.#abort.abort(new RpcError(Status.CANCELLED, messages.cancelledByController));
    this.#callAll();
  }

  #callAll(): void {
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) {
      // Without a call there is nothing to cancel.
      if (this.#onCallbackError === undefined) callback();
      else callGuarded(callback, this.#onCallbackError);
    }
  }
}
