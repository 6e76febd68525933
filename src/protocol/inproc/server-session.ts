import type { CallGate } from "../../auth/call-gate.js";
import { Caller } from "../../auth/caller.js";
import type { Metadata } from "../../base/metadata.js";
import { textOf } from "../../base/thrown.js";
import { MessageQueue } from "../../call/message-queue.js";
import type { Peer } from "../../call/peer.js";
import { type BoundMethod, ServerCall, stillRunning } from "../../call/server-call.js";
import { ServerStreamCall } from "../../call/server-stream-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import { CallerWait, waitingOverheadBytes } from "../caller-wait.js";
import type { Dispatcher, ServedSession } from "../dispatcher.js";
import type { InprocCall } from "./call.js";
import { CallList } from "./call-list.js";
import { copyMetadata } from "./copy.js";
import type { CallerEnd, ProviderEnd } from "./ends.js";
import { type InContext, InprocLink } from "./link.js";
import { InprocStream, ReplyStream, StreamRoom } from "./stream.js";

/** Size limits of one end. */
export interface InprocLimits {
  readonly bodyMaxBytes: number;
  /** Of metadata and error texts. */
  readonly headerMaxBytes: number;
  /** Of messages of streams that wait for their readers. */
  readonly streamBufferBytes: number;
}

export interface InprocServerOptions {
  readonly limits: InprocLimits & {
    /** Of requests that wait for checks of their tokens. */
    readonly arrivingMaxBytes: number;
  };
  /** Calls served at a time for one channel; more are refused RESOURCE_EXHAUSTED. */
  readonly maxInFlight: number;
  /** Of all channels of the process together. */
  readonly streamRoom: StreamRoom;
}

/** The identity of callers within the process. It is subject to the policy like any other. */
const withinProcess = {
  remote: "inproc:node",
  security: { kind: "inproc", confidential: true, identity: "inproc:node" },
} as const;

/** The provider's end of a connection within the process. */
export class InprocServerSession implements ServedSession, ProviderEnd<InprocCall> {
  readonly peer: Peer;
  readonly unsentBytes = 0;
  readonly link: InprocLink;
  readonly limits: InprocLimits;
  readonly maxInFlight: number;
  readonly streams: StreamRoom;
  headerMaxBytes: number;
  bodyMaxBytes: number;
  readonly #dispatcher: Dispatcher;
  readonly #gate: CallGate;
  #client: CallerEnd<InprocCall> | undefined;
  readonly #calls = new CallList<InprocCall>("atProvider");
  #state: "open" | "draining" | "closed" = "open";
  #inFlight = 0;
  /** Running oneway calls, and handlers that still run after their call has ended: both count as calls in flight. */
  #oneways = 0;
  #detached = 0;
  /** Of calls that wait until it is known who calls. */
  #waitingBytes = 0;
  readonly #waitingMaxBytes: number;
  #accepted = 0;
  readonly #methods = new Map<MethodDefinition, BoundMethod>();

  constructor(
    dispatcher: Dispatcher,
    options: InprocServerOptions,
    contexts: { readonly provider: InContext; readonly caller: InContext },
  ) {
    this.#dispatcher = dispatcher;
    this.#gate = dispatcher.enter(withinProcess, "inproc", this);
    this.peer = this.#gate.caller;
    this.limits = options.limits;
    this.maxInFlight = options.maxInFlight;
    this.#waitingMaxBytes = options.limits.arrivingMaxBytes;
    this.headerMaxBytes = options.limits.headerMaxBytes;
    this.bodyMaxBytes = options.limits.bodyMaxBytes;
    this.streams = new StreamRoom(options.limits.streamBufferBytes, options.streamRoom);
    this.link = new InprocLink(dispatcher.clock, dispatcher.turn, contexts.provider, contexts.caller);
  }

  /** The other end exists: the smaller limits of both apply. */
  meet(client: CallerEnd<InprocCall>, limits: InprocLimits): void {
    this.#client = client;
    this.headerMaxBytes = Math.min(this.headerMaxBytes, limits.headerMaxBytes);
    this.bodyMaxBytes = Math.min(this.bodyMaxBytes, limits.bodyMaxBytes);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get draining(): boolean {
    return this.#state !== "open";
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  find(method: MethodDefinition): BoundMethod | undefined {
    const known = this.#methods.get(method);
    if (known !== undefined) return known;
    const bound = this.#dispatcher.find(method.service, method.name);
    // Those of calls in JSON come and go.
    if (bound !== undefined && this.#methods.size < 1000) this.#methods.set(method, bound);
    return bound;
  }

  // --- calls ---

  begin(call: InprocCall): void {
    call.state = "begun";
    this.#accepted++;
    const { attempt, id, timeoutMs, metadata, request } = call;
    const { idempotencyKey } = attempt;
    if (this.#state !== "open") {
      const stopping = new RpcError(Status.UNAVAILABLE, messages.callsNoLongerTaken);
      this.#refuse(call, stopping, true);
      return;
    }
    const refusal = this.#refusal(call) ?? this.#admit(call) ?? this.#reserve(call);
    if (refusal !== undefined) {
      this.#refuse(call, refusal);
      return;
    }
    const bound = call.bound as BoundMethod;
    const { turn } = this.#dispatcher;
    const facts =
      metadata === undefined && idempotencyKey === undefined
        ? nothingSent
        : factsOf(metadata, idempotencyKey);
    const Call = bound.definition.kind === "unary" ? ServerCall : ServerStreamCall;
    const { wait } = call;
    const sender = wait?.port ?? call;
    const served = new Call(this.#dispatcher, sender, bound, request, id, turn.nowMs, timeoutMs, facts);
    served.arriving = wait !== undefined;
    if (wait !== undefined) this.#waitingBytes += waitingBytesOf(call);
    call.served = served;
    if (served instanceof ServerStreamCall) this.#openStreams(call, served);
    this.#calls.add(call);
    if (id === 0) this.#oneways++;
    else this.#inFlight++;
    this.#dispatcher.onCallStart(served);
    if (wait === undefined) served.run();
    else wait.begin(served, () => this.#runLater(call, served));
  }

  /** The caller, or why the call may not be made. A call whose token is being checked is accepted and waits. */
  #admit(call: InprocCall): RpcError | undefined {
    const bound = call.bound as BoundMethod;
    let caller = this.#gate.caller;
    if (!this.#gate.open) {
      const checked = this.#gate.check(bound, call.metadata);
      if (checked instanceof RpcError) return checked;
      if (checked instanceof Caller) caller = checked;
      else {
        const bytes = this.#waitingBytes + waitingBytesOf(call);
        if (bytes > this.#waitingMaxBytes) {
          const text = messages.tooMuchWaitsForChecks(bytes, this.#waitingMaxBytes);
          return new RpcError(Status.RESOURCE_EXHAUSTED, text);
        }
        call.wait = new CallerWait(this.#gate, checked, call);
      }
    }
    call.peer = caller;
    return this.#dispatcher.admit(bound, caller, call.wait !== undefined);
  }

  /** It counts against the limit only now, and may exceed it. */
  #runLater(call: InprocCall, served: ServerCall): void {
    const refusal = this.#dispatcher.admit(served.bound, served.peer, false);
    if (refusal !== undefined) {
      served.cancel(refusal);
      return;
    }
    this.#arrived(call, served);
    served.run();
  }

  #arrived(call: InprocCall, served: ServerCall): void {
    this.#waitingBytes -= waitingBytesOf(call);
    served.arriving = false;
    this.#dispatcher.onArrived(served);
  }

  #refusal({ attempt, bound, undecodable, timeoutMs, id }: InprocCall): RpcError | undefined {
    const { method } = attempt;
    if (bound === undefined) {
      return new RpcError(Status.UNIMPLEMENTED, messages.noMethod(` ${method.service}.${method.name}`));
    }
    const { kind, fullName } = bound.definition;
    if (kind !== method.kind) {
      return new RpcError(Status.UNIMPLEMENTED, messages.otherKind(fullName, kind, method.kind));
    }
    if (kind !== "unary" && id === 0) {
      return new RpcError(Status.UNIMPLEMENTED, messages.onewayStream(fullName, kind));
    }
    const taken = this.#inFlight + this.#oneways + this.#detached;
    if (taken >= this.maxInFlight) {
      const text = messages.tooManyCallsOnConnection(taken, stillRunning(this.#detached));
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    if (timeoutMs === 0) return new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedOnTheWay);
    return undecodable;
  }

  /** Reserves room for its requests. Done last, since a refusal after it would not release the room. */
  #reserve({ attempt }: InprocCall): RpcError | undefined {
    if (attempt.stream?.sendsMany !== true || this.streams.begin()) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.noRoomForStream);
  }

  #refuse(call: InprocCall, error: RpcError, retried = false): void {
    if (call.id === 0) this.#dispatcher.onOnewayDropped(error);
    else call.refuse(error, retried);
  }

  #openStreams(call: InprocCall, served: ServerStreamCall): void {
    const { attempt, bound } = call;
    const { stream } = attempt;
    if (stream === undefined) return;
    const { input, output } = (bound as BoundMethod).definition;
    let requests: MessageQueue | undefined;
    if (stream.sendsMany) {
      const queue = new MessageQueue(input, "the requests of a call");
      queue.owner = {
        onReaderLeft: () => {},
        onUndecodable: (reason) => {
          const text = messages.requestUndecodable(input.typeName, textOf(reason));
          const error = new RpcError(Status.INTERNAL, text);
          served.cancel(error);
          return error;
        },
      };
      served.request = requests = queue;
      call.requests = new InprocStream(attempt.method.input, queue, this.streams, this.bodyMaxBytes);
    }
    if (stream.replies !== undefined) {
      call.replies = new ReplyStream(output, stream.replies, this.streams, this.bodyMaxBytes, {
        onBegin: () => {
          const metadata = copyMetadata(served.replyMetadataIfAny);
          this.link.inCaller(() => stream.onProgress(true, metadata));
        },
        onActivity: () => stream.onActivity(),
      });
    }
    const { replies } = call;
    served.ports = { requests, replies, sendMetadata: () => replies?.begin() };
    stream.onProgress(false, undefined);
    if (call.requests !== undefined) stream.onOpen(call.requests);
  }

  refuseReply(bytes: number, headerBytes: number): RpcError | undefined {
    const { bodyMaxBytes, headerMaxBytes } = this;
    if (bytes <= bodyMaxBytes && headerBytes <= headerMaxBytes) return undefined;
    const text = messages.replyTooLargeForBoth(bytes, headerBytes, bodyMaxBytes, headerMaxBytes);
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  cancelLater(call: InprocCall): void {
    this.link.toProvider({
      deliver: () => {
        const { served } = call;
        if (served === undefined) return false;
        // A caller also cancels when its deadline passes, and that often arrives before our own timer fires.
        if (served.deadlineMs <= this.#dispatcher.turn.nowMs) served.onDeadline();
        else served.cancel(new RpcError(Status.CANCELLED, messages.cancelledByCaller));
        return true;
      },
    });
  }

  onDetached(by: 1 | -1): void {
    this.#detached += by;
  }

  release(call: InprocCall): void {
    if (!this.#calls.delete(call)) return;
    const { wait, served } = call;
    wait?.leave();
    if (served?.arriving === true) this.#arrived(call, served);
    if (call.requests !== undefined) this.streams.end();
    if (call.id === 0) this.#oneways--;
    else this.#inFlight--;
    if (this.#state === "draining") this.#endLater();
  }

  // --- the end ---

  drain(why: string): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    // Before the caller's end exists: the connection is refused.
    const atOnce = this.#client === undefined;
    const accepted = this.#accepted;
    this.link.toCaller({
      deliver: () => {
        this.#client?.onGoingAway(why, accepted === 0, atOnce);
        return false;
      },
    });
    for (const call of this.#calls.all()) call.served?.startDraining();
    this.#endLater();
  }

  /** After what is in flight to the caller. */
  #endLater(): void {
    if (this.#inFlight > 0) return;
    this.link.toCaller({
      deliver: () => {
        if (this.#inFlight === 0) this.close(undefined);
        return false;
      },
    });
  }

  stop(why: string): void {
    const stopped = new RpcError(Status.UNAVAILABLE, why);
    for (const call of this.#calls.all()) if (call.id !== 0) call.served?.cancel(stopped);
    this.close(why);
  }

  close(reason: string | undefined): void {
    if (this.#state === "closed") return;
    this.link.toCaller({
      deliver: () => {
        this.#client?.onProviderClosed(reason === undefined ? undefined : messages.closedByProvider);
        return false;
      },
    });
    this.#end(reason);
  }

  /** The caller has closed its end. Oneway calls go on. */
  onCallerClosed(reason: string | undefined): void {
    this.link.toProvider({
      deliver: () => {
        this.#end(reason);
        return true;
      },
    });
  }

  #end(reason: string | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const lost = new RpcError(Status.CANCELLED, messages.callerLost(reason ?? messages.closed));
    for (const call of this.#calls.all()) if (call.id !== 0) call.served?.cancel(lost);
    this.#inFlight = 0;
    this.#gate.close();
    this.#dispatcher.onConnectionClosed(this, reason);
  }
}

function waitingBytesOf({ requestBytes, metadata }: InprocCall): number {
  return requestBytes + (metadata?.heldBytes ?? 0) + waitingOverheadBytes;
}

interface SentFacts {
  metadata?: Metadata;
  idempotencyKey?: string;
}

const nothingSent: SentFacts = {};

function factsOf(metadata: Metadata | undefined, idempotencyKey: string | undefined): SentFacts {
  const facts: SentFacts = {};
  if (metadata !== undefined) facts.metadata = metadata;
  if (idempotencyKey !== undefined) facts.idempotencyKey = idempotencyKey;
  return facts;
}
