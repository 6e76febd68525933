import type { Caller } from "../../auth/caller.js";
import type { Metadata } from "../../base/metadata.js";
import type { Peer } from "../../call/peer.js";
import {
  type BoundMethod,
  builtinRequestMaxBytes,
  type ReplySender,
  ServerCall,
  stillRunning,
} from "../../call/server-call.js";
import { ServerStreamCall } from "../../call/server-stream-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import type { Connection } from "../../transport/transport.js";
import type { Dispatcher, ServerSession } from "../dispatcher.js";
import { type ArrivingHost, ArrivingRequests, undecodable } from "./arriving-requests.js";
import { CallerChecks, type CheckingHost, sentBytes } from "./caller-checks.js";
import { Gate } from "./gate.js";
import { MethodIndex } from "./method-index.js";
import { ReplyWriter } from "./reply-writer.js";
import { MprpcSession, type SessionOptions } from "./session.js";
import { ConnectionBudget, type SharedBudget, type StreamBudget } from "./streams/budget.js";
import { ServerStreams } from "./streams/server-streams.js";
import { refusalOfMethod } from "./streams/stream-kinds.js";
import { slotOf } from "./wire/call-number.js";
import type { ChunkedMessage } from "./wire/frame-decoder.js";
import { type FrameHeader, Kind, type RareFields, settingsUnknown } from "./wire/header.js";

export interface ServerSessionOptions extends SessionOptions {
  /** Calls served at a time on one connection; more are refused RESOURCE_EXHAUSTED. Default 16,384. */
  maxInFlight: number;
  /** Reading stops while more than this waits to be sent, bytes. Default 1 MiB. */
  pauseAtBytes: number;
  /** A reply that would wait behind more than this is replaced by RESOURCE_EXHAUSTED, bytes. Default 64 MiB. */
  unwrittenMaxBytes: number;
  /** The memory that streams of all connections may use. */
  streamBudget: SharedBudget;
}

/** Small calls overtake large replies, so reading goes on until this many times `pauseAtBytes` of large replies wait. */
const chunkPauseFactor = 16;
/** One for all connections: nothing else happens while a request is decoded. */
const requestReader = new Reader();

/** The serving side of one mprpc/2 connection. */
export class MprpcServerSession
  extends MprpcSession
  implements ReplySender, ServerSession, ArrivingHost, CheckingHost
{
  readonly peer: Peer;
  readonly #dispatcher: Dispatcher;
  readonly #options: ServerSessionOptions;
  readonly #replies: ReplyWriter;
  readonly #gate: Gate;
  readonly #callers: CallerChecks;
  readonly #methods: MethodIndex;
  /** By slot. */
  readonly #calls: Array<ServerCall | undefined> = [];
  /** Calls whose requests arrive in chunks and are incomplete. */
  #arriving: ArrivingRequests | undefined;
  /** Of requests in chunks, what the provider has counted. */
  #countedBytes = 0;
  #streams: ServerStreams | undefined;
  readonly repliesAwaited = Infinity;
  /** Calls that need a reply, including arriving ones. */
  #inFlight = 0;
  /** Running oneway calls, and handlers that still run after their call has ended: both count as calls in flight. */
  #oneways = 0;
  #detached = 0;
  #acceptedCalls = 0;
  #callerEnded = false;

  constructor(connection: Connection, dispatcher: Dispatcher, options: ServerSessionOptions) {
    super(connection, dispatcher.clock, options);
    const gate = dispatcher.enter(connection, "mprpc", this);
    this.peer = gate.caller;
    this.#callers = new CallerChecks(gate, this, dispatcher);
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#replies = new ReplyWriter(this.sendQueue, options.limits, options.unwrittenMaxBytes);
    this.#gate = new Gate(connection, this.receiveQueue, dispatcher.turn, () => this.#onCaughtUp());
    this.#methods = new MethodIndex(dispatcher);
    this.begin(options.limits, options.maxInFlight);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get draining(): boolean {
    return this.state !== "open";
  }

  get unsentBytes(): number {
    return this.sendQueue.pendingBytes;
  }

  get arrivingBytes(): number {
    return this.#arriving?.bytes ?? 0;
  }

  get waitingRoom(): StreamBudget {
    return this.#options.streamBudget.shareOf((this.peer as Caller).state.account);
  }

  /** Callers must reuse small numbers; otherwise the list of calls would grow without bound. */
  get #slotMax(): number {
    return Math.max(this.#options.maxInFlight, settingsUnknown.maxInFlight) * 2;
  }

  drain(why: string): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.control(Kind.GOING_AWAY, 0, { acceptedCalls: this.#acceptedCalls, message: why });
    for (const call of [...this.#calls]) call?.startDraining();
    this.#endIfIdle();
  }

  stop(why: string): void {
    const stopped = new RpcError(Status.UNAVAILABLE, why);
    for (const call of [...this.#calls]) call?.cancel(stopped);
    this.close(why);
  }

  close(reason: string | undefined): void {
    if (this.state === "closed") return;
    this.sendQueue.flush();
    this.connection.destroy();
    this.#onClosed(reason);
  }

  onSilence(silentMs: number): void {
    this.close(messages.pingUnanswered(Math.round(silentMs)));
  }

  onMalformed(reason: string): void {
    this.close(messages.malformedFromCaller(reason));
  }

  // --- from the connection ---

  get behind(): boolean {
    return this.#gate.postponed;
  }

  get heardMs(): number | undefined {
    return this.receiveQueue.held ? undefined : this.nowMs;
  }

  onData(chunk: Buffer): void {
    this.nowMs = this.#dispatcher.clock.now();
    this.keepalive.heard(this.nowMs);
    this.#gate.begin(this.nowMs);
    this.receiveQueue.receive(chunk);
  }

  onGoOn(): void {
    this.#gate.goOn();
  }

  /** There is less to send than before. */
  onProgress(): void {
    if (this.#gate.slow && !this.#callerIsSlow) this.#gate.setSlow(false);
    this.#endIfIdle();
  }

  /** The caller reads replies more slowly than it sends calls. */
  get #callerIsSlow(): boolean {
    const { pauseAtBytes } = this.#options;
    const { pendingFrameBytes, pendingChunkBytes } = this.sendQueue;
    return pendingFrameBytes > pauseAtBytes || pendingChunkBytes > pauseAtBytes * chunkPauseFactor;
  }

  /** A caller closes only when it waits for nothing; one with calls in flight has died. */
  onEnd(): void {
    this.#callerEnded = true;
    this.receiveQueue.finish();
    if (!this.receiveQueue.held) this.#onCaughtUp();
  }

  #onCaughtUp(): void {
    if (this.#callerEnded) this.close(this.#inFlight === 0 ? undefined : messages.callerGone);
  }

  onClose(error: Error | undefined): void {
    this.#onClosed(error?.message);
  }

  onFrame(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number, shared: boolean): void {
    switch (header.kind) {
      case Kind.CALL:
        this.#onCall(header, buffer, bodyStart, bodyEnd, shared);
        this.#gate.spent();
        break;
      case Kind.CANCEL:
        this.#onCancel(header.callId);
        this.#gate.spent();
        break;
      case Kind.MESSAGE:
      case Kind.HALF_CLOSE:
      case Kind.CREDIT: {
        if (!this.#hasCall(header.callId)) break;
        const wrong = this.#streamsOf().onFrame(header, buffer, bodyStart, bodyEnd, shared);
        if (wrong !== undefined) this.onMalformed(wrong);
        break;
      }
      case Kind.PING:
        this.control(Kind.PONG, 0, { pingId: header.rare.pingId ?? 0 });
        break;
      case Kind.SETTINGS:
        if (header.rare.settings !== undefined) this.#replies.peerSettings = header.rare.settings;
        break;
      default:
      // Pongs have already reset the keepalive; kinds of later versions are ignored.
    }
  }

  #hasCall(callId: number): boolean {
    return callId !== 0 && this.#calls[slotOf(callId)]?.id === callId;
  }

  #streamsOf(): ServerStreams {
    if (this.#streams !== undefined) return this.#streams;
    const { limits, streamBudget } = this.#options;
    const budget = new ConnectionBudget(limits.streamBufferBytes, streamBudget);
    const host = {
      replyMaxBytes: (): number => this.#replies.bodyMaxBytes,
      control: (kind: number, callId: number, credit: number) => this.control(kind, callId, { credit }),
      forget: (callId: number) => this.decoder.forget(callId),
    };
    this.#streams = new ServerStreams(host, this.sendQueue, this.clock, budget);
    return this.#streams;
  }

  #onCancel(callId: number): void {
    const call = this.#calls[slotOf(callId)];
    if (call?.id !== callId) {
      // The call was already answered; the rest of its request is not needed.
      if (callId !== 0) this.#replies.giveUp(callId);
      this.#sent();
      return;
    }
    // A caller also cancels when its deadline passes, and its frame often arrives before our own timer fires.
    if (call.deadlineMs <= this.nowMs) call.onDeadline();
    else call.cancel(new RpcError(Status.CANCELLED, messages.cancelledByCaller));
  }

  onOversized(header: FrameHeader, sizeBytes: number): void {
    const { bodyMaxBytes } = this.#options.limits;
    if (header.kind === Kind.MESSAGE) this.#streams?.onOversized(header.callId, sizeBytes, bodyMaxBytes);
    if (header.kind !== Kind.CALL) return;
    this.#acceptedCalls++;
    this.#methods.find(header);
    const text = messages.requestRefusedAsTooLarge(sizeBytes, bodyMaxBytes);
    this.#refuse(header.callId, new RpcError(Status.RESOURCE_EXHAUSTED, text));
  }

  #onCall(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number, shared: boolean): void {
    const bound = this.#accept(header);
    if (bound === undefined) return;
    if (this.#callers.pending !== undefined) {
      this.#hold(header, bound, buffer.subarray(bodyStart, bodyEnd));
      return;
    }
    let request: unknown;
    const { kind } = bound.definition;
    if (kind === "client_streaming" || kind === "bidi_streaming") {
      this.#begin(header, bound, undefined, false)?.run();
      return;
    }
    try {
      request = bound.definition.input.decode(
        requestReader.reset(buffer, bodyStart, bodyEnd, shared),
        bodyEnd,
      );
    } catch (error) {
      this.#refuse(header.callId, undecodable(bound, error));
      return;
    }
    if (!shared) requestReader.release();
    this.#begin(header, bound, request, false)?.run();
  }

  /** Its token is being checked: the request waits undecoded. */
  #hold(header: FrameHeader, bound: BoundMethod, body: Buffer): void {
    const { arrivingMaxBytes } = this.#options.limits;
    const sizeBytes = body.length + sentBytes(header.rare);
    const tooMuch = this.#callers.refusalOfSize(sizeBytes, arrivingMaxBytes);
    const { kind } = bound.definition;
    const streams = kind === "client_streaming" || kind === "bidi_streaming";
    if (tooMuch !== undefined) this.#refuse(header.callId, tooMuch);
    else {
      const call = this.#begin(header, bound, undefined, true);
      if (call !== undefined) this.#callers.hold(call, sizeBytes, streams ? undefined : Buffer.from(body));
    }
  }

  onOpening(header: FrameHeader): ChunkedMessage | undefined {
    if (header.kind === Kind.MESSAGE) {
      if (!this.#hasCall(header.callId)) return undefined;
      const opened = this.#streamsOf().onOpening(header);
      if (typeof opened !== "string") return opened;
      this.onMalformed(opened);
      return undefined;
    }
    if (header.kind !== Kind.CALL) return undefined;
    const message = this.#onAnnounced(header);
    this.#gate.spent();
    return message;
  }

  #onAnnounced(header: FrameHeader): ChunkedMessage | undefined {
    const bound = this.#accept(header);
    if (bound === undefined) return undefined;
    this.#arriving ??= new ArrivingRequests(this, this.#dispatcher, this.decoder, this.#options.limits);
    const tooMuch =
      this.#arriving.refusal(header.messageSize) ?? this.#refusalOfSize(bound, header.messageSize);
    if (tooMuch !== undefined) {
      this.#refuse(header.callId, tooMuch);
      return undefined;
    }
    const call = this.#begin(header, bound, undefined, true);
    if (call === undefined) return undefined;
    const message = this.#arriving.add(call, header.messageSize);
    this.#countArriving();
    return this.#callers.pending === undefined ? message : this.#callers.join(call, message);
  }

  /** Whether the provider has no room for it. A single one of a caller that has nothing else is always taken. */
  #refusalOfSize(bound: BoundMethod, sizeBytes: number): RpcError | undefined {
    let text: string | undefined;
    if (bound.builtin && sizeBytes > builtinRequestMaxBytes) {
      text = messages.builtinRequestTooLarge(sizeBytes, builtinRequestMaxBytes);
    } else {
      const { used, free } = this.waitingRoom;
      if (used > 0 && sizeBytes > free) text = messages.noRoomForArriving;
    }
    return text === undefined ? undefined : new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  #countArriving(): void {
    const { arrivingBytes } = this;
    this.waitingRoom.force(arrivingBytes - this.#countedBytes);
    this.#countedBytes = arrivingBytes;
  }

  judgeAgain(call: ServerCall, go: () => void): void {
    this.#callers.judgeAgain(call, go);
  }

  onArrived(call: ServerCall): void {
    this.#countArriving();
    if (call.id === 0 && !call.ended) this.#oneways++;
  }

  onRun(): void {
    this.#gate.spent();
  }

  /** The method of a new call; undefined when it was refused. */
  #accept(header: FrameHeader): BoundMethod | undefined {
    this.#acceptedCalls++;
    const { callId } = header;
    // Read before any refusal: later calls use the index that this call sets.
    const bound = this.#methods.find(header);
    const slot = slotOf(callId);
    if (this.#calls[slot] !== undefined || slot > this.#slotMax || (slot === 0 && callId !== 0)) {
      this.close(messages.malformedFromCaller(messages.callNumberTaken(callId)));
      return undefined;
    }
    const refusal = this.#refusal(bound, header);
    if (refusal === undefined) return bound;
    this.#refuse(callId, refusal);
    return undefined;
  }

  #begin(
    header: FrameHeader,
    bound: BoundMethod,
    request: unknown,
    arriving: boolean,
  ): ServerCall | undefined {
    const { callId, timeoutMs } = header;
    const notAdmitted = this.#dispatcher.admit(bound, this.#callers.port.peer, arriving);
    if (notAdmitted !== undefined) {
      this.#refuse(callId, notAdmitted);
      return undefined;
    }
    const startMs = this.nowMs;
    const { rare } = header;
    const { kind } = bound.definition;
    if (kind === "client_streaming" || kind === "bidi_streaming") {
      const noRoom = this.#streamsOf().reserve(this.#callers.port.peer);
      if (noRoom !== undefined) {
        this.#refuse(callId, noRoom);
        return undefined;
      }
    }
    const Call = kind === "unary" ? ServerCall : ServerStreamCall;
    const call = new Call(
      this.#dispatcher,
      this.#callers.port,
      bound,
      request,
      callId,
      startMs,
      timeoutMs,
      rare,
    );
    if (call instanceof ServerStreamCall) this.#streamsOf().open(call, header.credit);
    call.arriving = arriving;
    if (callId !== 0) {
      this.#calls[slotOf(callId)] = call;
      this.#inFlight++;
    } else if (!arriving) this.#oneways++;
    this.#dispatcher.onCallStart(call);
    return call;
  }

  #refusal(bound: BoundMethod | undefined, header: FrameHeader): RpcError | undefined {
    const { rare } = header;
    if (this.state !== "open") return new RpcError(Status.UNAVAILABLE, messages.callsNoLongerTaken);
    if (bound === undefined) {
      const name = rare.methodName === undefined ? "" : ` ${rare.serviceName}.${rare.methodName}`;
      return new RpcError(Status.UNIMPLEMENTED, messages.noMethod(name));
    }
    if (rare.compression !== undefined && rare.compression !== 0) {
      return new RpcError(Status.UNIMPLEMENTED, messages.unknownCompression(rare.compression));
    }
    const otherKind = refusalOfMethod(bound.definition, header);
    if (otherKind !== undefined) return otherKind;
    const overLimit = this.overLimit();
    if (overLimit !== undefined) return overLimit;
    if (header.timeoutMs === 0)
      return new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedOnTheWay);
    return this.#callers.refusal(bound, rare.metadata);
  }

  /** Calls whose requests are incomplete have no handler yet. */
  overLimit(): RpcError | undefined {
    const waiting = (this.#arriving?.numbered ?? 0) + this.#callers.numbered;
    const taken = this.#inFlight - waiting + this.#oneways + this.#detached;
    if (taken < this.#options.maxInFlight) return undefined;
    const text = messages.tooManyCallsOnConnection(taken, stillRunning(this.#detached));
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  #refuse(callId: number, error: RpcError): void {
    if (callId === 0) this.#dispatcher.onOnewayDropped(error);
    else this.#writeFailure(callId, error.with({}, "never"), undefined);
  }

  // --- to the caller ---

  reply(call: ServerCall, message: unknown): RpcError | undefined {
    if (call.id === 0 || this.state === "closed") {
      this.#release(call);
      return undefined;
    }
    const streamed = call instanceof ServerStreamCall && call.ports?.replies !== undefined;
    const failure = streamed
      ? this.#replies.writeEnd(call, this.#streamsOf().hasBegun(call.id))
      : this.#replies.write(call, message);
    if (failure !== undefined) return failure;
    this.#release(call);
    if (streamed) this.#sentBehind();
    else this.#sent();
    return undefined;
  }

  fail(call: ServerCall, error: RpcError): void {
    const streamed = call instanceof ServerStreamCall && call.ports?.replies !== undefined;
    const begun = streamed && this.#streamsOf().hasBegun(call.id);
    this.#release(call);
    if (call.id === 0 || this.state === "closed") return;
    this.#replies.writeFailureOf(call, error, streamed, begun);
    if (streamed) this.#sentBehind();
    else this.#sent();
  }

  #writeFailure(callId: number, error: RpcError, replyMetadata: Metadata | undefined): void {
    if (this.state === "closed") return;
    this.#replies.writeFailure(callId, error, replyMetadata);
    this.#sent();
  }

  #sent(): void {
    this.sendQueue.frameWritten();
    this.#afterSent();
  }

  /** The end of a stream of replies, after its messages. */
  #sentBehind(): void {
    this.sendQueue.streams.frameWritten();
    this.#afterSent();
  }

  #afterSent(): void {
    this.#pauseIfSlow();
    if (this.state === "draining") this.#endIfIdle();
  }

  /** Stops reading from a caller that does not read its replies. */
  #pauseIfSlow(): void {
    if (!this.#gate.slow && this.#callerIsSlow) this.#gate.setSlow(true);
  }

  onDetached(by: 1 | -1): void {
    this.#detached += by;
  }

  #release(call: ServerCall): void {
    const slot = slotOf(call.id);
    if (call instanceof ServerStreamCall) this.#streams?.close(call.id);
    if (slot !== 0 && this.#calls[slot] === call) {
      this.#calls[slot] = undefined;
      this.#inFlight--;
    }
    if (call.arriving) this.#callers.delete(call) || this.#arriving?.delete(call);
    else if (slot === 0) this.#oneways--;
    if (slot === 0) this.#endIfIdle();
  }

  protected override control(kind: number, callId: number, rare: RareFields | undefined): void {
    super.control(kind, callId, rare);
    if (this.state !== "closed") this.#pauseIfSlow();
  }

  #endIfIdle(): void {
    if (this.state !== "draining" || this.#inFlight > 0) return;
    // Not for an accepted oneway call: its caller would mistake the end for that of its message.
    if (this.#callers.oneways > 0 || (this.#arriving !== undefined && this.#arriving.size > 0)) return;
    this.sendQueue.flush();
    if (this.sendQueue.pendingBytes === 0) this.connection.end();
  }

  #onClosed(reason: string | undefined): void {
    if (this.state === "closed") return;
    this.stopParts();
    this.sendQueue.stop();
    const lost = new RpcError(Status.CANCELLED, messages.callerLost(reason ?? messages.closed));
    this.#gate.close();
    const waiting = [...(this.#arriving?.calls ?? []), ...this.#callers.calls];
    for (const call of [...this.#calls.splice(0), ...waiting]) call?.cancel(lost);
    this.#callers.close();
    this.#arriving?.stop();
    this.#streams?.stop();
    this.#inFlight = 0;
    this.#dispatcher.onConnectionClosed(this, reason);
  }
}
