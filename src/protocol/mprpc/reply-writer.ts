import { Metadata } from "../../base/metadata.js";
import type { ServerCall } from "../../call/server-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { varintBytes } from "../../protobuf/varint.js";
import { chunkBytes, type SendQueue } from "./send-queue.js";
import type { FrameEncoder } from "./wire/frame-encoder.js";
import { type RareFields, type Settings, settingsUnknown } from "./wire/header.js";
import type { WireLimits } from "./wire/limits.js";

/** Puts the replies of one connection into its sendQueue, within the limits of both sides. */
export class ReplyWriter {
  /** What the caller accepts. */
  peerSettings: Readonly<Settings> = settingsUnknown;
  readonly #sendQueue: SendQueue;
  readonly #limits: WireLimits;
  readonly #unwrittenMaxBytes: number;

  constructor(sendQueue: SendQueue, limits: WireLimits, unwrittenMaxBytes: number) {
    this.#sendQueue = sendQueue;
    this.#limits = limits;
    this.#unwrittenMaxBytes = unwrittenMaxBytes;
  }

  get #headerMaxBytes(): number {
    return Math.min(this.#limits.headerMaxBytes, this.peerSettings.headerMaxBytes);
  }

  get bodyMaxBytes(): number {
    return Math.min(this.#limits.bodyMaxBytes, this.peerSettings.bodyMaxBytes);
  }

  /** Returns why the message cannot be sent, and then nothing was. */
  write(call: ServerCall, message: unknown): RpcError | undefined {
    const { bound } = call;
    const { encoder, pendingBytes } = this.#sendQueue;
    if (pendingBytes > this.#unwrittenMaxBytes) {
      const text = messages.tooMuchUnwrittenToCaller(pendingBytes, this.#unwrittenMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    const rare = call.method.kind === "unary" ? metadataOf(call) : endOf(call, true);
    let bytes: number;
    try {
      encoder.beginReply(call.id, Status.OK, rare, bound.replySizeBytes);
      bound.definition.output.encode(message, encoder.writer);
      bytes = encoder.endBody();
    } catch (error) {
      encoder.abort();
      const text = messages.replyUnencodable(bound.definition.output.typeName);
      return new RpcError(Status.INTERNAL, text, { cause: error });
    }
    bound.replySizeBytes = varintBytes(bytes);
    const { headerBytes } = encoder;
    if (bytes > this.bodyMaxBytes || headerBytes > this.#headerMaxBytes) {
      encoder.abort();
      const text = messages.replyTooLargeForBoth(bytes, headerBytes, this.bodyMaxBytes, this.#headerMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    if (bytes > chunkBytes && this.peerSettings.chunks) this.#sendInChunks(call.id, rare);
    else encoder.keepBody();
    return undefined;
  }

  #sendInChunks(callId: number, rare: RareFields | undefined): void {
    const { encoder } = this.#sendQueue;
    this.#sendQueue.sendInChunks(callId, callId, this.peerSettings, undefined, (sizeBytes) => {
      encoder.beginReply(callId, Status.OK, rare, 1);
      encoder.announceBody(sizeBytes);
      return callId;
    });
  }

  /** Stops sending a reply that nobody waits for; the caller is notified if the reply is left incomplete. */
  giveUp(callId: number): void {
    const state = this.#sendQueue.giveUp(callId);
    if (state === "waiting") {
      const text = messages.cancelledBeforeReplySent;
      this.writeFailure(callId, new RpcError(Status.CANCELLED, text, { executed: "yes" }), undefined);
    } else if (state === "announced") this.#sendQueue.encoder.giveUpMessage(callId);
  }

  /** The end of a stream of replies, after its messages. `begun`: the initial metadata have been sent. */
  writeEnd(call: ServerCall, begun: boolean): RpcError | undefined {
    const { encoder } = this.#sendQueue.streams;
    encoder.beginReply(call.id, Status.OK, endOf(call, !begun), 1);
    encoder.endBody();
    const { headerBytes } = encoder;
    if (headerBytes <= this.#headerMaxBytes) return undefined;
    encoder.abort();
    const text = messages.replyTooLargeForBoth(0, headerBytes, this.bodyMaxBytes, this.#headerMaxBytes);
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  /** The failure of a call; for a stream of replies, after its messages. */
  writeFailureOf(call: ServerCall, error: RpcError, streamed: boolean, begun: boolean): void {
    const encoder = streamed ? this.#sendQueue.streams.encoder : this.#sendQueue.encoder;
    const metadata = begun ? undefined : call.replyMetadataIfAny;
    this.writeFailure(call.id, error, metadata, call.replyTrailersIfAny, encoder);
  }

  writeFailure(
    callId: number,
    error: RpcError,
    replyMetadata: Metadata | undefined,
    trailers?: Metadata,
    encoder: FrameEncoder = this.#sendQueue.encoder,
  ): void {
    const { code, executed } = error;
    const leftOut = this.#writeWholeFailure(callId, error, replyMetadata, trailers, encoder);
    if (leftOut === undefined) return;
    encoder.abort();
    const message = messages.withoutDetails(String(error.rawMessage).slice(0, 1024), leftOut);
    encoder.beginReply(callId, code, { message, executed }, 1);
    encoder.endBody();
  }

  /** Returns why it cannot be sent: the handler created the error, so its fields may hold anything. */
  #writeWholeFailure(
    callId: number,
    error: RpcError,
    replyMetadata: Metadata | undefined,
    trailers: Metadata | undefined,
    encoder: FrameEncoder,
  ): string | undefined {
    const rare: RareFields = { message: String(error.rawMessage), executed: error.executed };
    const metadata = error.metadata ?? replyMetadata;
    if (metadata !== undefined) rare.metadata = metadata;
    if (trailers !== undefined) rare.trailers = trailers;
    if (Array.isArray(error.details) && error.details.length > 0) rare.details = error.details;
    const sendable = isSendable(rare);
    encoder.beginReply(callId, error.code, sendable ? rare : {}, 1);
    encoder.endBody();
    if (!sendable) return messages.detailsUnencodable;
    return encoder.headerBytes > this.#headerMaxBytes ? messages.detailsTooLarge : undefined;
  }
}

function metadataOf(call: ServerCall): RareFields | undefined {
  const metadata = call.replyMetadataIfAny;
  return metadata === undefined ? undefined : { metadata };
}

function endOf(call: ServerCall, withMetadata: boolean): RareFields | undefined {
  const metadata = withMetadata ? call.replyMetadataIfAny : undefined;
  const trailers = call.replyTrailersIfAny;
  if (metadata === undefined && trailers === undefined) return undefined;
  return { ...(metadata === undefined ? {} : { metadata }), ...(trailers === undefined ? {} : { trailers }) };
}

function isSendable({ metadata, details = [] }: RareFields): boolean {
  if (metadata !== undefined && !(metadata instanceof Metadata)) return false;
  return details.every((one) => typeof one?.type === "string" && one.value instanceof Uint8Array);
}
