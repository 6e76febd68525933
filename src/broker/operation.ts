import { type DeadlineWheel, Expiring } from "../base/deadlines.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Wait } from "./driver.js";

/** What ends an operation of a driver that does not end by itself. */
export interface OperationLimits {
  readonly wheel: DeadlineWheel;
  /** On the clock of the wheel. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  /** What it fails with when the deadline has passed. */
  readonly late: () => RpcError;
}

/** Runs `run`; when the deadline passes or the signal is aborted first, rejects, and aborts what `run` was given. */
export function runOperation<T>(limits: OperationLimits, run: (wait: Wait) => Promise<T>): Promise<T> {
  const { signal } = limits;
  if (signal?.aborted === true) return Promise.reject(cancelled(signal));
  return new Promise<T>((resolve, reject) => {
    const operation = new Operation(limits, resolve, reject);
    run(operation).then(operation.onDone, operation.onFailed);
  });
}

class Operation<T> extends Expiring implements Wait {
  readonly #limits: OperationLimits;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort: (() => void) | undefined;
  #abort: AbortController | undefined;
  #reason: RpcError | undefined;

  constructor(limits: OperationLimits, resolve: (value: T) => void, reject: (error: unknown) => void) {
    super();
    const { deadlineMs, wheel, signal } = limits;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
    this.deadlineMs = deadlineMs;
    wheel.add(this);
    if (signal === undefined) return;
    this.#onAbort = () => this.#giveUp(cancelled(signal));
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly onDone = (value: T): void => {
    this.#end();
    this.#resolve(value);
  };

  readonly onFailed = (error: unknown): void => {
    this.#end();
    this.#reject(error);
  };

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    return this.#abort.signal;
  }

  onDeadline(): void {
    this.#giveUp(this.#limits.late());
  }

  #giveUp(reason: RpcError): void {
    this.#reason = reason;
    this.#abort?.abort(reason);
    this.onFailed(reason);
  }

  #end(): void {
    const { wheel, signal } = this.#limits;
    wheel.remove(this);
    if (this.#onAbort !== undefined) signal?.removeEventListener("abort", this.#onAbort);
  }
}

function cancelled(signal: AbortSignal): RpcError {
  return new RpcError(Status.CANCELLED, messages.cancelledBySignal, { cause: signal.reason });
}
