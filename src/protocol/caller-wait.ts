import type { AuthCheck, CheckWaiter } from "../auth/auth-check.js";
import type { CallGate } from "../auth/call-gate.js";
import { Caller, CallerPort } from "../auth/caller.js";
import type { ReplySender, ServerCall } from "../call/server-call.js";
import { RpcError } from "../error/rpc-error.js";

/** What a call that waits takes besides its request and its metadata, bytes. */
export const waitingOverheadBytes = 512;

/** A call that waits until a token is checked. */
abstract class TokenWait implements CheckWaiter {
  protected readonly gate: CallGate;
  readonly #check: AuthCheck;
  #call: ServerCall | undefined;
  #go: () => void = () => {};

  constructor(gate: CallGate, check: AuthCheck) {
    this.gate = gate;
    this.#check = check;
  }

  /** `go` comes when `call` may be made; otherwise it is cancelled. */
  begin(call: ServerCall, go: () => void): void {
    this.#call = call;
    this.#go = go;
    this.#check.wait(this);
  }

  onChecked(outcome: Caller | RpcError): void {
    const call = this.#call;
    if (call === undefined || call.ended) return;
    const judged = outcome instanceof Caller ? this.judge(outcome, call) : outcome;
    if (judged instanceof RpcError) call.cancel(judged);
    else this.#go();
  }

  /** The token is that of `found`. */
  protected abstract judge(found: Caller, call: ServerCall): Caller | RpcError;

  /** The call has ended. */
  leave(): void {
    this.#check.leave(this);
  }
}

/** A call that waits until its token is checked. It must not be decoded, and takes no handler's place, before that. */
export class CallerWait extends TokenWait {
  /** Sends the replies of the call. Its peer is the connection itself until it is known who calls. */
  readonly port: CallerPort;

  constructor(gate: CallGate, check: AuthCheck, connection: ReplySender) {
    super(gate, check);
    this.port = new CallerPort(connection, gate.caller);
  }

  protected override judge(found: Caller, call: ServerCall): Caller | RpcError {
    const judged = this.gate.judge(found, call.bound);
    if (judged instanceof Caller) this.port.peer = judged;
    return judged;
  }
}

/** A call whose request is whole by now, and whose token, which was good when it began, must be checked again before it runs. */
export class CallerAgain extends TokenWait {
  protected override judge(found: Caller, call: ServerCall): Caller | RpcError {
    return this.gate.judgeAgain(call.peer as Caller, found, call.bound);
  }
}

/** The request of `call` is whole: why it may not be made any more, or what it waits for. Undefined: it may. */
export function judgeAgain(gate: CallGate, call: ServerCall): RpcError | CallerAgain | undefined {
  const judged = gate.checkAgain(call.peer as Caller, call.bound);
  if (judged instanceof Caller) return undefined;
  return judged instanceof RpcError ? judged : new CallerAgain(gate, judged);
}
