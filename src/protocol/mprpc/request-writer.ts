import { textOf } from "../../base/thrown.js";
import type { Attempt } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import { varintBytes } from "../../protobuf/varint.js";
import { chunkBytes, type SendQueue } from "./send-queue.js";
import { streamNumbers } from "./streams/stream-kinds.js";
import { type RareFields, type Settings, settingsUnknown } from "./wire/header.js";
import type { WireLimits } from "./wire/limits.js";

/** Most method indexes of a connection; further methods are sent by name each time. */
const methodIndexesMax = 4096;

/** What the connection remembers of a method it has called. */
interface SentMethod {
  index: number;
  /** Length of the size prefix of the last request, bytes; the guess for the next one. */
  sizeBytes: number;
}

/** Puts the calls of one connection into its sendQueue, within the limits of both sides. */
export class RequestWriter {
  /** What the provider accepts. */
  peerSettings: Readonly<Settings> = settingsUnknown;
  readonly #sendQueue: SendQueue;
  readonly #limits: WireLimits;
  readonly #methods = new Map<MethodDefinition, SentMethod>();
  readonly #replyCredit: () => number;

  /** `replyCredit`: the credit a call grants for a stream of replies, bytes. */
  constructor(sendQueue: SendQueue, limits: WireLimits, replyCredit: () => number) {
    this.#replyCredit = replyCredit;
    this.#sendQueue = sendQueue;
    this.#limits = limits;
  }

  /**
   * `timeoutMs`: negative for no deadline. Returns why the call cannot be sent; then nothing was sent. `"waiting"`: it is too
   * large to send now; `announce` is called when there is room, and must write it with `writeAnnouncement`.
   */
  write(
    call: Attempt,
    id: number,
    timeoutMs: number,
    announce: (call: Attempt, sizeBytes: number) => number | undefined,
  ): RpcError | "waiting" | undefined {
    const { encoder } = this.#sendQueue;
    const { method } = call;
    const known = this.#methods.get(method);
    const sent = known ?? this.#newMethod();
    const rare = this.#rareOf(call, known === undefined);
    let bodyBytes: number;
    try {
      encoder.beginCall(id, sent.index, timeoutMs, rare, sent.sizeBytes);
      if (call.stream?.sendsMany !== true) method.input.encode(call.request, encoder.writer);
      bodyBytes = encoder.endBody();
    } catch (error) {
      encoder.abort();
      const text = messages.requestUnencodable(textOf(error));
      return new RpcError(Status.INTERNAL, text, { executed: "never", cause: error });
    }
    sent.sizeBytes = varintBytes(bodyBytes);
    const tooLarge = this.#tooLarge(encoder.headerBytes, bodyBytes);
    if (tooLarge !== undefined) {
      encoder.abort();
      return new RpcError(Status.RESOURCE_EXHAUSTED, tooLarge, { executed: "never" });
    }
    if (bodyBytes > chunkBytes && this.peerSettings.chunks) {
      const announceIt = (sizeBytes: number): number | undefined => announce(call, sizeBytes);
      if (!this.#sendQueue.sendInChunks(call, id, this.peerSettings, call, announceIt)) return "waiting";
    } else encoder.keepBody();
    if (known === undefined && sent.index !== 0) this.#methods.set(method, sent);
    return undefined;
  }

  #newMethod(): SentMethod {
    const index = this.#methods.size < methodIndexesMax ? this.#methods.size + 1 : 0;
    return { index, sizeBytes: 1 };
  }

  /** Writes the frame of a call whose encoded message of `sizeBytes` follows in chunks. */
  writeAnnouncement(call: Attempt, id: number, timeoutMs: number, sizeBytes: number): void {
    const { encoder } = this.#sendQueue;
    const { method } = call;
    const known = this.#methods.get(method);
    const sent = known ?? this.#newMethod();
    encoder.beginCall(id, sent.index, timeoutMs, this.#rareOf(call, known === undefined), 1);
    encoder.announceBody(sizeBytes);
    if (known === undefined && sent.index !== 0) this.#methods.set(method, sent);
  }

  #rareOf(call: Attempt, named: boolean): RareFields | undefined {
    const rare = rareOf(call, named);
    if (call.stream === undefined) return rare;
    const streamed = { ...rare, stream: streamNumbers[call.method.kind] };
    return call.stream.replies === undefined ? streamed : { ...streamed, credit: this.#replyCredit() };
  }

  /** Largest message the provider takes, and this side sends. */
  get bodyMaxBytes(): number {
    return Math.min(this.#limits.bodyMaxBytes, this.peerSettings.bodyMaxBytes);
  }

  #tooLarge(headerBytes: number, bodyBytes: number): string | undefined {
    const { headerMaxBytes, bodyMaxBytes } = this.#limits;
    const { peerSettings: provider } = this;
    if (headerBytes > headerMaxBytes) {
      return messages.headerTooLarge(headerBytes, headerMaxBytes);
    }
    if (headerBytes > provider.headerMaxBytes) {
      return messages.headerTooLargeForProvider(headerBytes, provider.headerMaxBytes);
    }
    if (bodyBytes > bodyMaxBytes) {
      return messages.requestTooLarge(bodyBytes, bodyMaxBytes);
    }
    if (bodyBytes > provider.bodyMaxBytes) {
      return messages.requestTooLargeForProvider(bodyBytes, provider.bodyMaxBytes);
    }
    return undefined;
  }
}

function rareOf(call: Attempt, named: boolean): RareFields | undefined {
  const { method, metadata, idempotencyKey, authorization } = call;
  let rare: RareFields | undefined;
  if (metadata !== undefined && metadata.size > 0) rare = { metadata };
  if (authorization !== undefined) rare = { ...rare, authorization };
  if (idempotencyKey !== undefined) rare = { ...rare, idempotencyKey };
  return named ? { ...rare, serviceName: method.service, methodName: method.name } : rare;
}
