import type { CallGate } from "../../auth/call-gate.js";
import { Caller } from "../../auth/caller.js";
import type { Metadata } from "../../base/metadata.js";
import type { BoundMethod, ReplySender, ServerCall } from "../../call/server-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { type CallerAgain, CallerWait, judgeAgain, waitingOverheadBytes } from "../caller-wait.js";
import type { Dispatcher } from "../dispatcher.js";
import { runWhole } from "./arriving-requests.js";
import type { ChunkedMessage } from "./wire/frame-decoder.js";
import type { RareFields } from "./wire/header.js";

export interface WaitingRoom {
  readonly free: number;
  /** Takes (or, if negative, releases) bytes even if there is no room. */
  force(bytes: number): void;
}

/** What calls with an unknown caller need from their connection. */
export interface CheckingHost extends ReplySender {
  /** Why no more calls can run here. */
  overLimit(): RpcError | undefined;
  /** Bytes of requests that arrive in chunks. */
  readonly arrivingBytes: number;
  /** Memory for waiting requests of this connection's caller, which is a part of the provider's. */
  readonly waitingRoom: WaitingRoom;
  /** Its caller is known, or the call has ended. */
  onArrived(call: ServerCall): void;
  /** A handler was called and has returned a value or a promise. */
  onRun(): void;
}

/** Memory of what comes with a call in its header, bytes. */
export function sentBytes({
  metadata,
  idempotencyKey,
}: Pick<RareFields, "metadata" | "idempotencyKey">): number {
  return (metadata?.heldBytes ?? 0) + (idempotencyKey?.length ?? 0);
}

/** A call that waits for the check of its token. */
interface Waiting {
  readonly wait: CallerWait | CallerAgain;
  /** Undefined: its request arrives in chunks, and is counted there. */
  readonly heldBytes: number | undefined;
}

/**
 * Determines the callers of the calls of one connection, and whether they may make them. A call with an unknown token waits here
 * with its request undecoded, and does not count against the limit of calls meanwhile.
 */
export class CallerChecks {
  /** Sends the replies of the call that was admitted last. */
  port: ReplySender;
  /** What that call waits for. */
  pending: CallerWait | undefined;
  /** Waiting calls that need a reply. */
  numbered = 0;
  readonly #gate: CallGate;
  readonly #host: CheckingHost;
  readonly #dispatcher: Dispatcher;
  #waiting: Map<ServerCall, Waiting> | undefined;
  #heldBytes = 0;

  constructor(gate: CallGate, host: CheckingHost, dispatcher: Dispatcher) {
    this.#gate = gate;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.port = host;
  }

  /** Why a call may not be made. If it may, `port` and `pending` belong to it until the next call. */
  refusal(bound: BoundMethod, metadata: Metadata | undefined): RpcError | undefined {
    this.pending = undefined;
    this.port = this.#host;
    if (this.#gate.open) return undefined;
    const checked = this.#gate.check(bound, metadata);
    if (checked instanceof RpcError) return checked;
    if (checked instanceof Caller) this.port = this.#gate.portOf(checked, this.#host);
    else {
      this.pending = new CallerWait(this.#gate, checked, this.#host);
      this.port = this.pending.port;
    }
    return undefined;
  }

  /** Why a request of this size may not wait. */
  refusalOfSize(sizeBytes: number, maxBytes: number): RpcError | undefined {
    const moreBytes = sizeBytes + waitingOverheadBytes;
    const bytes = this.#heldBytes + this.#host.arrivingBytes + moreBytes;
    if (moreBytes > this.#host.waitingRoom.free)
      return new RpcError(Status.RESOURCE_EXHAUSTED, messages.noRoomForChecks);
    if (bytes <= maxBytes) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.tooMuchWaitsForChecks(bytes, maxBytes));
  }

  /** Waiting calls without a number (oneway). */
  get oneways(): number {
    return this.calls.filter((call) => call.id === 0).length;
  }

  get calls(): ServerCall[] {
    return this.#waiting === undefined ? [] : [...this.#waiting.keys()];
  }

  /**
   * `call`, which was started as an arriving one, waits for `pending`. `sizeBytes`: as in `refusalOfSize`. `body`: its whole request;
   * undefined: it is a stream.
   */
  hold(call: ServerCall, sizeBytes: number, body: Buffer | undefined): void {
    const heldBytes = sizeBytes + waitingOverheadBytes;
    this.#heldBytes += heldBytes;
    this.#host.waitingRoom.force(heldBytes);
    if (call.id !== 0) this.numbered++;
    this.#wait(call, this.pending as CallerWait, heldBytes, () => {
      // It counts against the limit only now, and may exceed it.
      const refusal = this.#host.overLimit() ?? this.#dispatcher.admit(call.bound, call.peer, false);
      this.delete(call);
      if (runWhole(call, body, refusal)) this.#host.onRun();
    });
  }

  /** The same for a call whose request arrives as `message`. */
  join(call: ServerCall, message: ChunkedMessage): ChunkedMessage {
    let known = false;
    let whole: Buffer | undefined;
    this.#wait(call, this.pending as CallerWait, undefined, () => {
      known = true;
      if (whole !== undefined) message.onEnd(whole);
    });
    return {
      ...message,
      onEnd: (body) => {
        if (known || body === undefined) message.onEnd(body);
        else whole = body;
      },
    };
  }

  /** The request of `call` is whole: `go` comes if, or as soon as, its caller may still make it; otherwise it is cancelled. */
  judgeAgain(call: ServerCall, go: () => void): void {
    const found = judgeAgain(this.#gate, call);
    if (found === undefined) go();
    else if (found instanceof RpcError) call.cancel(found);
    else this.#wait(call, found, undefined, go);
  }

  #wait(call: ServerCall, wait: Waiting["wait"], heldBytes: number | undefined, go: () => void): void {
    this.#waiting ??= new Map();
    this.#waiting.set(call, { wait, heldBytes });
    wait.begin(call, () => {
      if (heldBytes === undefined) this.#waiting?.delete(call);
      go();
    });
  }

  /** Its caller is known, or the call has ended. True when nothing else counts it as arriving. */
  delete(call: ServerCall): boolean {
    const waiting = this.#waiting?.get(call);
    if (waiting === undefined) return false;
    this.#waiting?.delete(call);
    waiting.wait.leave();
    if (waiting.heldBytes === undefined) return false;
    this.#heldBytes -= waiting.heldBytes;
    this.#host.waitingRoom.force(-waiting.heldBytes);
    call.arriving = false;
    if (call.id !== 0) this.numbered--;
    this.#dispatcher.onArrived(call);
    this.#host.onArrived(call);
    return true;
  }

  close(): void {
    this.#gate.close();
  }
}
