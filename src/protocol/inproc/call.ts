import { Metadata } from "../../base/metadata.js";
import { textOf } from "../../base/thrown.js";
import type { Attempt, CallCarrier } from "../../call/attempt.js";
import type { Peer } from "../../call/peer.js";
import type { BoundMethod, ReplySender, ServerCall } from "../../call/server-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MessageType } from "../../protobuf/types.js";
import type { CallerWait } from "../caller-wait.js";
import type { Listed } from "./call-list.js";
import { copyMetadata, giveBack, type MessageCopy, metadataBytes, takeCopy } from "./copy.js";
import type { CallerEnd, ProviderEnd } from "./ends.js";
import { copyFailure } from "./failure.js";
import type { Parcel } from "./link.js";
import type { InprocStream, ReplyStream } from "./stream.js";

/**
 * One call between the two ends within a process. Each end changes only its own half; the link delivers what
 * one end has for the other.
 *
 *     sent --> begun --> answered
 *      `---------`-----> abandoned, by the caller
 */
export class InprocCall implements CallCarrier, ReplySender, Parcel, Listed {
  readonly attempt: Attempt;
  /** 0: no reply is wanted. */
  readonly id: number;
  readonly bound: BoundMethod | undefined;
  /** -1: no deadline. */
  readonly timeoutMs: number;
  /** The metadata of the call, copied. */
  readonly metadata: Metadata | undefined;
  request: unknown = undefined;
  /** What the request takes as a message, bytes. */
  requestBytes = 0;
  /** The provider has another definition of the message and cannot decode it. */
  undecodable: RpcError | undefined = undefined;
  state: "sent" | "begun" | "answered" | "abandoned" = "sent";
  atCaller = -1;
  atProvider = -1;
  served: ServerCall | undefined = undefined;
  /** The caller: the process itself, or the bearer of a token. */
  peer: Peer;
  /** The caller is not known yet. */
  wait: CallerWait | undefined = undefined;
  requests: InprocStream | undefined = undefined;
  replies: ReplyStream | undefined = undefined;
  readonly #client: CallerEnd<InprocCall>;
  readonly #server: ProviderEnd<InprocCall>;
  #message: unknown = undefined;
  #metadata: Metadata | undefined = undefined;
  #trailers: Metadata | undefined = undefined;
  #error: RpcError | undefined = undefined;
  /** The provider itself refused the call; otherwise the failure arose on this side. */
  #refused = true;

  constructor(
    client: CallerEnd<InprocCall>,
    server: ProviderEnd<InprocCall>,
    attempt: Attempt,
    id: number,
    timeoutMs: number,
  ) {
    this.#client = client;
    this.#server = server;
    this.attempt = attempt;
    this.id = id;
    this.timeoutMs = timeoutMs;
    this.bound = server.find(attempt.method);
    this.peer = server.peer;
    this.metadata = metadataOf(attempt);
  }

  // --- the caller's half ---

  /** Copies the request. Returns why it cannot be sent. `tooLarge` returns the reason if it exceeds a limit. */
  copyRequest(tooLarge: (bytes: number) => string | undefined): RpcError | undefined {
    const copy = takeCopy();
    try {
      this.requestBytes = copy.write(this.attempt.method.input, this.attempt.request);
      const text = tooLarge(this.requestBytes);
      if (text !== undefined) return new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" });
      if (this.bound !== undefined) this.#readRequest(copy, this.bound.definition.input);
      return undefined;
    } catch (error) {
      const text = messages.requestUnencodable(textOf(error));
      return new RpcError(Status.INTERNAL, text, { executed: "never", cause: error });
    } finally {
      giveBack(copy);
    }
  }

  #readRequest(copy: MessageCopy, input: MessageType): void {
    try {
      this.request = copy.read(input);
    } catch (error) {
      const text = messages.requestUndecodable(input.typeName, textOf(error));
      this.undecodable = new RpcError(Status.INTERNAL, text);
    }
  }

  abandon(): boolean {
    if (this.state === "answered" || this.state === "abandoned") return false;
    const unsent = this.state === "sent";
    this.state = "abandoned";
    this.#client.release(this);
    this.requests?.close();
    this.replies?.drop();
    if (!unsent) this.#server.cancelLater(this);
    return unsent;
  }

  /** Delivered to the provider it begins there; delivered back to the caller it ends here. */
  deliver(): boolean {
    if (this.state === "sent") {
      this.#server.begin(this);
      return true;
    }
    if (this.state !== "answered") return false;
    this.#client.release(this);
    this.requests?.close();
    this.#client.answered = true;
    const error = this.#error;
    if (error !== undefined) this.attempt.onFailure(error, this.#refused);
    else this.attempt.onReply(this.#message, this.#metadata, this.#trailers);
    return false;
  }

  /** The connection has ended. */
  lose(error: RpcError): void {
    this.state = "abandoned";
    this.requests?.close();
    this.replies?.drop();
    this.attempt.onFailure(error);
  }

  // --- the provider's half ---

  get draining(): boolean {
    return this.#server.draining;
  }

  onDetached(by: 1 | -1): void {
    this.#server.onDetached(by);
  }

  /** Nobody waits for an answer. */
  get #unwanted(): boolean {
    return this.id === 0 || this.state !== "begun" || this.#server.closed;
  }

  reply(served: ServerCall, message: unknown): RpcError | undefined {
    if (!this.#unwanted) {
      const { replies } = this;
      const metadata = replies?.begun === true ? undefined : served.replyMetadataIfAny;
      const trailers = served.method.kind === "unary" ? undefined : served.replyTrailersIfAny;
      const failure =
        replies === undefined
          ? this.#copyReply(message, metadata, trailers)
          : this.#server.refuseReply(0, metadataBytes(metadata) + metadataBytes(trailers));
      if (failure !== undefined) return failure;
      this.#metadata = copyMetadata(metadata);
      this.#trailers = copyMetadata(trailers);
    }
    this.#answer();
    return undefined;
  }

  /** Returns why the message cannot be sent. */
  #copyReply(
    message: unknown,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): RpcError | undefined {
    const { output } = (this.bound as BoundMethod).definition;
    const copy = takeCopy();
    try {
      const bytes = copy.write(output, message);
      const tooLarge = this.#server.refuseReply(bytes, metadataBytes(metadata) + metadataBytes(trailers));
      if (tooLarge !== undefined) return tooLarge;
      this.#message = this.#readReply(copy);
      return undefined;
    } catch (error) {
      return new RpcError(Status.INTERNAL, messages.replyUnencodable(output.typeName), { cause: error });
    } finally {
      giveBack(copy);
    }
  }

  /** The caller may have another definition of the message. */
  #readReply(copy: MessageCopy): unknown {
    const { output } = this.attempt.method;
    try {
      return copy.read(output);
    } catch (error) {
      const text = messages.replyUndecodable(output.typeName, textOf(error));
      this.#error = new RpcError(Status.INTERNAL, text, { executed: "yes", cause: error });
      this.#refused = false;
      return undefined;
    }
  }

  fail(served: ServerCall, error: RpcError): void {
    if (!this.#unwanted) {
      const metadata = this.replies?.begun === true ? undefined : served.replyMetadataIfAny;
      this.#error = copyFailure(error, metadata, served.replyTrailersIfAny, this.#server.headerMaxBytes);
    }
    this.#answer();
  }

  /** Refused before any handler ran. `retried`: without a limit, since it was in flight when the provider began to stop. */
  refuse(error: RpcError, retried = false): void {
    this.#error = error.with({}, "never");
    this.#refused = !retried;
    this.#answer();
  }

  #answer(): void {
    this.#server.release(this);
    this.replies?.close();
    if (this.id === 0 || this.state === "abandoned" || this.#server.closed) return;
    this.state = "answered";
    this.#server.link.toCaller(this);
  }
}

function metadataOf({ metadata, authorization }: Attempt): Metadata | undefined {
  const copied = copyMetadata(metadata);
  if (authorization === undefined) return copied;
  const all = copied ?? new Metadata();
  all.append("authorization", authorization);
  return all;
}
