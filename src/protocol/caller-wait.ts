import type { AuthCheck, CheckWaiter } from "../auth/auth-check.js";
import type { CallGate } from "../auth/call-gate.js";
import { Caller, CallerPort } from "../auth/caller.js";
import type { ReplySender, ServerCall } from "../call/server-call.js";
import { RpcError } from "../error/rpc-error.js";

/** A call that waits until its token is checked. It must not be decoded, and takes no handler's place, before that. */
export class CallerWait implements CheckWaiter {
  /** Sends the replies of the call. Its peer is the connection itself until it is known who calls. */
  readonly port: CallerPort;
  readonly #gate: CallGate;
  readonly #check: AuthCheck;
  #call: ServerCall | undefined;
  #go: () => void = () => {};

  constructor(gate: CallGate, check: AuthCheck, connection: ReplySender) {
    this.#gate = gate;
    this.#check = check;
    this.port = new CallerPort(connection, gate.caller);
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
    const judged = outcome instanceof Caller ? this.#gate.judge(outcome, call.bound) : outcome;
    if (judged instanceof RpcError) {
      call.cancel(judged);
      return;
    }
    this.port.peer = judged;
    this.#go();
  }

  /** The call has ended. */
  leave(): void {
    this.#check.leave(this);
  }
}
