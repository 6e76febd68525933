import { textOf } from "../base/thrown.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { MethodDefinition } from "../wire/codec/types.js";
import { varintBytes } from "../wire/codec/writer.js";
import { type RareFields, type Settings, settingsUnknown } from "../wire/header.js";
import type { WireLimits } from "../wire/limits.js";
import { chunkBytes, type Outbox } from "./outbox.js";
import type { PendingCall } from "./pending-call.js";

/** Indexes a connection may agree on; methods beyond it are sent by name each time. */
const methodIndexesMax = 4096;

/** What the connection remembers of a method it has called. */
interface SentMethod {
  index: number;
  /** How many bytes the size of the last request took: the next one most likely takes as many. */
  sizeBytes: number;
}

/** Puts the calls of one connection into its outbox, within the limits of both sides. */
export class RequestWriter {
  /** What the provider accepts. */
  peer: Readonly<Settings> = settingsUnknown;
  readonly #outbox: Outbox;
  readonly #limits: WireLimits;
  readonly #methods = new Map<MethodDefinition, SentMethod>();

  constructor(outbox: Outbox, limits: WireLimits) {
    this.#outbox = outbox;
    this.#limits = limits;
  }

  /** `timeoutMs`: negative for no deadline. Returns why the call cannot be sent, and then nothing was. */
  write(call: PendingCall, id: number, timeoutMs: number): RpcError | undefined {
    const { encoder } = this.#outbox;
    const { method, metadata, idempotencyKey } = call;
    const known = this.#methods.get(method);
    let rare: RareFields | undefined;
    let sent = known;
    if (metadata !== undefined && metadata.size > 0) rare = { metadata };
    if (idempotencyKey !== undefined) rare = { ...rare, idempotencyKey };
    if (sent === undefined) {
      const index = this.#methods.size < methodIndexesMax ? this.#methods.size + 1 : 0;
      sent = { index, sizeBytes: 1 };
      rare = { ...rare, serviceName: method.service, methodName: method.name };
    }
    let bodyBytes: number;
    try {
      encoder.beginCall(id, sent.index, timeoutMs, rare, sent.sizeBytes);
      method.input.encode(call.request, encoder.writer);
      bodyBytes = encoder.endBody();
    } catch (error) {
      encoder.abort();
      const text = `the request cannot be encoded: ${textOf(error)}`;
      return new RpcError(Status.INTERNAL, text, { executed: "never", cause: error });
    }
    sent.sizeBytes = varintBytes(bodyBytes);
    const tooLarge = this.#tooLarge(encoder.headerBytes, bodyBytes);
    if (tooLarge !== undefined) {
      encoder.abort();
      return new RpcError(Status.RESOURCE_EXHAUSTED, tooLarge, { executed: "never" });
    }
    if (bodyBytes > chunkBytes && this.peer.chunks) this.#outbox.sendInChunks(id, call);
    if (known === undefined && sent.index !== 0) this.#methods.set(method, sent);
    return undefined;
  }

  #tooLarge(headerBytes: number, bodyBytes: number): string | undefined {
    const { headerMaxBytes, bodyMaxBytes } = this.#limits;
    const { peer } = this;
    if (headerBytes > headerMaxBytes) {
      return `metadata make a header of ${headerBytes} bytes, over the limit of ${headerMaxBytes} (limits.header)`;
    }
    if (headerBytes > peer.headerMaxBytes) {
      return `metadata make a header of ${headerBytes} bytes, over the provider's limit of ${peer.headerMaxBytes} (its limits.header)`;
    }
    if (bodyBytes > bodyMaxBytes) {
      return `a request of ${bodyBytes} bytes is over the limit of ${bodyMaxBytes} (limits.body)`;
    }
    if (bodyBytes > peer.bodyMaxBytes) {
      return `a request of ${bodyBytes} bytes is over the provider's limit of ${peer.bodyMaxBytes} (its limits.body)`;
    }
    return undefined;
  }
}
