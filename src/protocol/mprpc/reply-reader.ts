import type { Clock } from "../../base/clock.js";
import type { Metadata } from "../../base/metadata.js";
import { textOf } from "../../base/thrown.js";
import type { Attempt } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { type ErrorDetail, RpcError, type RpcErrorOptions } from "../../error/rpc-error.js";
import { Status, toStatusCode } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import { Arrivals, type ArrivalsOwner, stalledAfterMs } from "./arrivals.js";
import type { CallSlots } from "./call-slots.js";
import type { ChunkedMessage, FrameDecoder } from "./wire/frame-decoder.js";
import type { FrameHeader } from "./wire/header.js";
import type { WireLimits } from "./wire/limits.js";

/** What the replies of a connection need from it. */
export interface ReplyHost {
  /** When the last bytes arrived. */
  readonly heardMs: number;
  /** The provider is going away: it may still refuse calls that have already failed here. */
  readonly goingAway: boolean;
  onMalformed(reason: string): void;
  abandon(call: Attempt): boolean;
  /** The number of a call is free again. */
  onReleased(callId: number): void;
}

/** One for all connections: nothing else happens while a reply is decoded. */
const replyReader = new Reader();

/** Passes the replies of one connection to their calls. An unexpected reply is malformed. */
export class ReplyReader implements ArrivalsOwner<number> {
  readonly #host: ReplyHost;
  readonly #slots: CallSlots;
  readonly #decoder: FrameDecoder;
  readonly #limits: WireLimits;
  readonly #clock: Clock;
  /** Replies that come in chunks. */
  #arrivals: Arrivals<number> | undefined;

  constructor(host: ReplyHost, slots: CallSlots, decoder: FrameDecoder, limits: WireLimits, clock: Clock) {
    this.#host = host;
    this.#slots = slots;
    this.#decoder = decoder;
    this.#limits = limits;
    this.#clock = clock;
  }

  get heardMs(): number {
    return this.#host.heardMs;
  }

  onReply(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number, shared: boolean): void {
    // It also ends a stream in the middle of a message.
    if (this.#slots.find(header.callId)?.stream?.replies !== undefined) this.#decoder.forget(header.callId);
    if (!this.#expected(header.callId)) return;
    const call = this.#release(header.callId);
    if (call === undefined) return;
    if (header.status === Status.OK) {
      const { metadata, trailers } = header.rare;
      this.#deliver(call, buffer, bodyStart, bodyEnd, shared, metadata, trailers);
    } else call.onFailure(failureOf(header), true);
  }

  onOversized(callId: number, sizeBytes: number): void {
    if (!this.#expected(callId)) return;
    const text = messages.replyTooLarge(sizeBytes, this.#limits.bodyMaxBytes);
    this.#release(callId)?.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "yes" }));
  }

  onOpening(header: FrameHeader): ChunkedMessage | undefined {
    const { callId, messageSize } = header;
    const { metadata, trailers } = header.rare;
    if (!this.#expected(callId)) return undefined;
    this.#arrivals ??= new Arrivals(this.#clock, this.#limits, this.#decoder, this);
    const tooMuch = this.#arrivals.refusal(messageSize);
    if (tooMuch !== undefined) {
      this.#host.onMalformed(tooMuch);
      return undefined;
    }
    this.#arrivals.add(callId, callId, messageSize);
    return { onEnd: (body) => this.#onWhole(callId, body, metadata, trailers) };
  }

  #onWhole(
    callId: number,
    body: Buffer | undefined,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void {
    this.#arrivals?.delete(callId);
    const call = this.#release(callId);
    if (call === undefined) return;
    if (body !== undefined) this.#deliver(call, body, 0, body.length, false, metadata, trailers);
    else {
      const text = messages.replyGivenUp;
      call.onFailure(new RpcError(Status.INTERNAL, text, { executed: "yes" }));
    }
  }

  onStalled(callId: number): void {
    const text = messages.replyStalled(stalledAfterMs);
    const call = this.#slots.find(callId);
    // The call was given up, and the provider has not ended the reply yet.
    if (call === undefined) this.#host.onMalformed(text);
    else {
      this.#host.abandon(call);
      call.onFailure(new RpcError(Status.UNAVAILABLE, text, { executed: "yes" }));
    }
  }

  /** The connection is gone. */
  stop(): void {
    this.#arrivals?.stop();
  }

  /** Whether a call waits for this reply and no part of it has arrived. */
  #expected(callId: number): boolean {
    const arriving = this.#arrivals !== undefined && this.#decoder.missingBytes(callId) !== undefined;
    if (this.#slots.expects(callId) && !arriving) return true;
    if (!this.#host.goingAway) this.#host.onMalformed(messages.unexpectedReply(callId));
    return false;
  }

  /** Frees the number of an answered call. Returns the call, unless it was given up. */
  #release(callId: number): Attempt | undefined {
    const call = this.#slots.release(callId);
    this.#host.onReleased(callId);
    return call;
  }

  #deliver(
    call: Attempt,
    buffer: Buffer,
    start: number,
    end: number,
    shared: boolean,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void {
    let message: unknown;
    try {
      if (call.stream?.replies === undefined)
        message = call.method.output.decode(replyReader.reset(buffer, start, end, shared), end);
    } catch (error) {
      const text = messages.replyUndecodable(call.method.output.typeName, textOf(error));
      call.onFailure(new RpcError(Status.INTERNAL, text, { executed: "yes", cause: error }));
      return;
    }
    if (!shared) replyReader.release();
    call.repliedMs = this.#host.heardMs;
    call.onReply(message, metadata, trailers);
  }
}

function failureOf(header: FrameHeader): RpcError {
  const { message, details, metadata, trailers, executed } = header.rare;
  const options: RpcErrorOptions = { executed: executed ?? "maybe" };
  if (details !== undefined) options.details = details as readonly ErrorDetail[];
  if (metadata !== undefined) options.metadata = metadata;
  if (trailers !== undefined) options.trailers = trailers;
  return new RpcError(toStatusCode(header.status), message ?? "", options);
}
