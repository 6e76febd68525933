import type { Clock } from "../../base/clock.js";
import { printable } from "../../base/printable.js";
import type { Attempt, CallCarrier } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Connection } from "../../transport/transport.js";
import { describeFirstBytes, firstBytesShown } from "../describe-bytes.js";
import type { ClientSession, ClientSessionOwner } from "../protocol.js";
import { CallSlots } from "./call-slots.js";
import { type ReplyHost, ReplyReader } from "./reply-reader.js";
import { RequestWriter } from "./request-writer.js";
import { MprpcSession, type SessionOptions } from "./session.js";
import { ClientStreams } from "./streams/client-streams.js";
import { slotsMax } from "./wire/call-number.js";
import type { ChunkedMessage } from "./wire/frame-decoder.js";
import { type FrameHeader, Kind, type Settings } from "./wire/header.js";

export interface ClientSessionOptions extends SessionOptions {
  /** Bytes that may wait to be sent before calls fail RESOURCE_EXHAUSTED. Default 64 MiB. */
  unwrittenMaxBytes: number;
}

/**
 * The calling side of one mprpc/2 connection. The provider answers every call exactly once, also a cancelled one. An unexpected
 * answer is malformed and ends the connection.
 */
export class MprpcClientSession extends MprpcSession implements CallCarrier, ReplyHost, ClientSession {
  readonly endpoint: string;
  readonly #options: ClientSessionOptions;
  readonly #owner: ClientSessionOwner;
  readonly #requests: RequestWriter;
  readonly #slots = new CallSlots();
  readonly #replies: ReplyReader;
  #streams: ClientStreams | undefined;
  /** Calls sent, with or without a reply. The provider counts the same way, and going-away contains how many it accepted. */
  #sequence = 0;
  /** The provider has announced going-away, and why. */
  goingAway = false;
  #leaves: string | undefined;
  #closeReason: string | undefined;
  /** The provider has sent its settings: whatever closes the connection later, connecting worked. */
  welcomed = false;
  /** A reply has arrived: the provider works. */
  answered = false;
  /** It was closed because nothing arrived any more, not even the answer to a ping. */
  silent = false;
  /** It was closed because of malformed frames. */
  malformed = false;
  /** Calls that were in flight when it closed. */
  lostCalls = 0;
  /** No call ever waits here. */
  readonly behind = false;
  /** What came first, until the settings are there. */
  #first: Buffer = Buffer.alloc(0);

  constructor(
    connection: Connection,
    clock: Clock,
    options: ClientSessionOptions,
    owner: ClientSessionOwner,
  ) {
    super(connection, clock, options);
    this.endpoint = connection.remote;
    this.#options = options;
    this.#owner = owner;
    const replyCredit = (): number => this.#streamsOf().replyCredit;
    this.#requests = new RequestWriter(this.sendQueue, options.limits, replyCredit);
    this.#replies = new ReplyReader(this, this.#slots, this.decoder, options.limits, clock);
    this.begin(options.limits, 0);
  }

  get local(): string {
    return this.connection.local;
  }

  get confidential(): boolean {
    return this.connection.security?.confidential ?? false;
  }

  get heardMs(): number {
    return this.nowMs;
  }

  get inFlight(): number {
    return this.#slots.inFlight;
  }

  get repliesAwaited(): number {
    return this.#slots.inFlight;
  }

  /** False while the default number of calls is in flight and the provider's own limit is not known yet. */
  get hasRoom(): boolean {
    return this.welcomed || this.inFlight < this.#requests.peerSettings.maxInFlight;
  }

  /** Sends `call`. A call that cannot be sent fails at once, `executed: never`. */
  start(call: Attempt): void {
    call.handTo(this, "wait");
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      call.onFailure(refusal);
      return;
    }
    const timeoutMs = call.deadlineMs === Infinity ? -1 : Math.floor(call.deadlineMs - call.nowMs);
    if (call.deadlineMs !== Infinity && timeoutMs < 0) {
      call.onFailure(
        new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedBeforeSending, { executed: "never" }),
      );
      return;
    }
    const id = call.oneway ? 0 : this.#slots.nextId;
    const outcome = this.#requests.write(call, id, timeoutMs, this.#announce);
    if (outcome === undefined) this.#sent(call, id);
    // Its message is too large to be announced now; the earlier ones continue with the next flush.
    else if (outcome === "waiting") this.sendQueue.frameWritten();
    else call.onFailure(outcome);
  }

  /** A frame of the call has been written. */
  #sent(call: Attempt, id: number): void {
    call.sequence = ++this.#sequence;
    if (id !== 0) this.#slots.add(call, id);
    this.sendQueue.frameWritten();
    if (call.frame === 0) call.frame = this.sendQueue.written;
    if (id === 0) call.onReply(undefined, undefined);
    else if (call.stream !== undefined) this.#streamsOf().open(call, call.stream, id);
  }

  #streamsOf(): ClientStreams {
    if (this.#streams !== undefined) return this.#streams;
    const host = {
      bodyMaxBytes: (): number => this.#requests.bodyMaxBytes,
      control: (kind: number, callId: number, credit: number) => this.control(kind, callId, { credit }),
      forget: (callId: number) => this.decoder.forget(callId),
    };
    const { streamBufferBytes } = this.#options.limits;
    this.#streams = new ClientStreams(host, this.sendQueue, this.clock, streamBufferBytes);
    return this.#streams;
  }

  /** The provider has room for a waiting message. */
  readonly #announce = (call: Attempt, sizeBytes: number): number | undefined => {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      call.onFailure(refusal);
      return undefined;
    }
    // A call past its deadline is ended by its timer; the provider would fail it, too.
    const leftMs = Math.max(0, Math.floor(call.deadlineMs - this.clock.now()));
    const id = call.oneway ? 0 : this.#slots.nextId;
    this.#requests.writeAnnouncement(call, id, leftMs === Infinity ? -1 : leftMs, sizeBytes);
    this.#sent(call, id);
    return id;
  };

  #refusal(): RpcError | undefined {
    const never = { executed: "never" } as const;
    if (this.state !== "open") return new RpcError(Status.UNAVAILABLE, messages.connectionClosing, never);
    if (this.inFlight >= this.#requests.peerSettings.maxInFlight) {
      const text = messages.tooManyCallsForProvider(this.inFlight);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text, never);
    }
    if (this.sendQueue.pendingBytes > this.#options.unwrittenMaxBytes) {
      const text = messages.tooMuchUnwritten(this.sendQueue.pendingBytes, this.#options.unwrittenMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text, never);
    }
    return undefined;
  }

  abandon(call: Attempt): boolean {
    if (!this.#slots.has(call)) {
      if (this.sendQueue.giveUp(call) !== "waiting") return false;
      this.#endIfIdle();
      return true;
    }
    this.#slots.abandon(call);
    this.#streams?.close(call.id);
    this.decoder.discard(call.id);
    this.control(Kind.CANCEL, call.id, undefined);
    const unsent = this.sendQueue.giveUp(call) !== undefined;
    this.#endIfIdle();
    return unsent;
  }

  /** Takes no more calls and closes when those in flight have ended. */
  drain(): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.#endIfIdle();
  }

  /** Closes at once; calls in flight fail. */
  close(reason: string): void {
    this.#fail(reason);
  }

  onData(chunk: Buffer): void {
    this.nowMs = this.clock.now();
    this.keepalive.heard(this.nowMs);
    if (!this.welcomed) this.#keepFirst(chunk);
    this.receiveQueue.receive(chunk);
  }

  onSilence(silentMs: number): void {
    this.silent = true;
    this.#fail(messages.pingUnanswered(Math.round(silentMs)));
  }

  onProgress(): void {
    this.#endIfIdle();
  }

  onMalformed(reason: string): void {
    if (this.state === "closed") return;
    this.malformed = true;
    this.#fail(
      this.welcomed
        ? messages.malformedFromProvider(reason)
        : messages.notMprpc(this.endpoint, describeFirstBytes(this.#first)),
    );
  }

  onGoOn(): void {}

  #keepFirst(chunk: Buffer): void {
    const missing = firstBytesShown - this.#first.length;
    if (missing > 0) this.#first = Buffer.concat([this.#first, chunk.subarray(0, missing)]);
  }

  onEnd(): void {
    this.receiveQueue.finish();
    this.#fail(this.state === "draining" && this.#slots.wanted === 0 ? undefined : this.#whyClosed);
  }

  onClose(error: Error | undefined): void {
    this.#closeReason ??= error?.message;
    this.#reportClose();
  }

  onFrame(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number, shared: boolean): void {
    switch (header.kind) {
      case Kind.REPLY:
        this.#replies.onReply(header, buffer, bodyStart, bodyEnd, shared);
        break;
      case Kind.PING:
        // If a peer pings but does not read, the queued data already shows that this side is alive.
        if (this.sendQueue.pendingBytes <= this.#options.unwrittenMaxBytes)
          this.control(Kind.PONG, 0, { pingId: header.rare.pingId ?? 0 });
        break;
      case Kind.SETTINGS:
        if (header.rare.settings !== undefined) this.#onSettings(header.rare.settings);
        this.#welcome();
        break;
      case Kind.GOING_AWAY:
        this.#onGoingAway(header.rare.acceptedCalls ?? 0, header.rare.message);
        break;
      case Kind.MESSAGE:
      case Kind.CREDIT:
      case Kind.METADATA: {
        const { callId } = header;
        if (this.#slots.find(callId) === undefined) break;
        const wrong = this.#streamsOf().onFrame(header, buffer, bodyStart, bodyEnd, shared);
        if (wrong !== undefined) this.onMalformed(wrong);
        break;
      }
      default:
      // Kinds of later versions are ignored.
    }
  }

  onOversized(header: FrameHeader, sizeBytes: number): void {
    if (header.kind === Kind.REPLY) this.#replies.onOversized(header.callId, sizeBytes);
    if (header.kind === Kind.MESSAGE)
      this.#streams?.onOversized(header.callId, sizeBytes, this.#options.limits.bodyMaxBytes);
  }

  onOpening(header: FrameHeader): ChunkedMessage | undefined {
    if (header.kind === Kind.REPLY) return this.#replies.onOpening(header);
    if (header.kind !== Kind.MESSAGE || this.#slots.find(header.callId) === undefined) return undefined;
    const opened = this.#streamsOf().onOpening(header);
    if (typeof opened !== "string") return opened;
    this.onMalformed(opened);
    return undefined;
  }

  onReleased(callId: number): void {
    this.#streams?.close(callId);
    this.answered = true;
    if (this.state === "draining") process.nextTick(() => this.#endIfIdle());
  }

  #onSettings(settings: Settings): void {
    this.#requests.peerSettings = { ...settings, maxInFlight: Math.min(settings.maxInFlight, slotsMax) };
  }

  #welcome(): void {
    if (this.welcomed) return;
    this.welcomed = true;
    this.#owner.onWelcome(this);
  }

  get #whyClosed(): string {
    return this.#leaves === undefined
      ? messages.closedByProvider
      : messages.closedByProviderSince(this.#leaves);
  }

  #onGoingAway(acceptedCalls: number, message = messages.providerShuttingDown): void {
    if (((acceptedCalls - this.#sequence) | 0) > 0) {
      this.onMalformed(messages.impossibleGoingAway(acceptedCalls, this.#sequence));
      return;
    }
    if (this.state === "open") {
      this.state = "draining";
      // Directly after the settings it refuses the connection itself, although no call was sent.
      const turnedAway = acceptedCalls === 0 && (this.#sequence > 0 || this.decoder.frames === 2);
      this.#owner.onGoingAway(this, turnedAway ? message : undefined);
    }
    this.goingAway = true;
    this.#leaves = printable(message);
    const tooLate = new RpcError(Status.UNAVAILABLE, message, { executed: "never" });
    this.#failWaiting(tooLate);
    for (const call of this.#slots.calls) {
      // The count on the wire wraps at 2^32; calls in flight are close together, so the difference is unambiguous.
      if (((call.sequence - acceptedCalls) | 0) <= 0) continue;
      this.#slots.retire(call);
      this.#streams?.close(call.id);
      this.sendQueue.giveUp(call);
      call.onFailure(tooLate);
    }
    this.#endIfIdle();
  }

  /** The calls whose messages have not been announced. */
  #failWaiting(error: RpcError): void {
    for (const key of this.sendQueue.waitingKeys) {
      const call = key as Attempt;
      this.sendQueue.giveUp(call);
      call.onFailure(error);
    }
  }

  #endIfIdle(): void {
    // Do not wait for calls that were given up: a provider that never answers a cancel would keep its connection forever.
    if (this.state !== "draining" || this.#slots.wanted > 0) return;
    this.sendQueue.flush();
    // Oneway calls may still be in flight.
    if (this.sendQueue.pendingBytes === 0) this.connection.end();
  }

  #fail(reason: string | undefined): void {
    if (this.state === "closed") return;
    this.#closeReason ??= reason;
    this.connection.destroy();
    this.#reportClose();
  }

  #reportClose(): void {
    if (this.state === "closed") return;
    this.stopParts();
    this.#replies.stop();
    this.#streams?.stop();
    const reason = this.#closeReason;
    const text = messages.connectionLost(reason ?? messages.closed);
    const waiting = this.sendQueue.waitingKeys as Attempt[];
    this.sendQueue.stop();
    this.lostCalls = this.inFlight;
    this.#owner.onClosed(this, reason);
    for (const call of [...this.#slots.clear(), ...waiting]) {
      const executed = call.id === 0 || call.frame > this.sendQueue.flushed ? "never" : "maybe";
      call.onFailure(new RpcError(Status.UNAVAILABLE, text, { executed }));
    }
  }
}
