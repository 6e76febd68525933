import type { Timer } from "../base/clock.js";
import { Metadata } from "../base/metadata.js";
import { isOf, textOf } from "../base/thrown.js";
import type { Attempt } from "../call/attempt.js";
import type { CallStream, RequestSender } from "../call/call-stream.js";
import { MessageQueue, type MessageQueueOwner } from "../call/message-queue.js";
import type { MessageSource } from "../call/streams.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { MethodDefinition } from "../protobuf/types.js";
import { type CallRouter, ClientCall, type ResolvedCallOptions } from "./client-call.js";
import { RequestStream } from "./request-stream.js";

export type MetadataListener = ((metadata: Metadata) => void) | "reply" | undefined;

/** One call of a user that streams, in one direction or both. Its `promise` settles when the call ends. */
export class StreamCall extends ClientCall implements CallStream, MessageQueueOwner {
  readonly replies: MessageQueue | undefined;
  readonly sendsMany: boolean;
  /** Filled when the call ends. */
  readonly trailers = new Metadata();
  readonly #router: CallRouter;
  readonly #plan: ResolvedCallOptions;
  readonly #listener: MetadataListener;
  readonly #requests: RequestStream | undefined;
  /** The provider has sent initial metadata or a message. */
  #answered = false;
  /** The call was ended from this side: messages that arrived and were not read are dropped. */
  #givenUp = false;
  /** The initial metadata, or why there are none, as soon as either is known; a promise is created only when it is read. */
  #initial: { readonly metadata: Metadata } | { readonly error: unknown } | undefined;
  #asked: Deferred | undefined;
  #idleTimer: Timer | undefined;
  #activeMs = 0;

  constructor(
    router: CallRouter,
    method: MethodDefinition,
    request: unknown,
    plan: ResolvedCallOptions,
    metadata: Metadata | undefined,
    listener: MetadataListener,
  ) {
    const sendsMany = method.kind !== "server_streaming";
    super(router, method, sendsMany ? undefined : request, plan, metadata, listener);
    this.sendsMany = sendsMany;
    this.#router = router;
    this.#plan = plan;
    this.#listener = listener;
    if (method.kind !== "client_streaming") this.replies = this.#newQueue(method);
    if (sendsMany) {
      const source = request as MessageSource<unknown>;
      this.#requests = new RequestStream(method.input, source, () => this.onActivity());
    }
    this.promise.then(
      () => this.#onEnd(undefined),
      (error) => this.#onEnd(error),
    );
  }

  #newQueue(method: MethodDefinition): MessageQueue {
    const queue = new MessageQueue(method.output, "a stream of replies");
    queue.owner = this;
    return queue;
  }

  onReaderLeft(): void {
    this.giveUp(Status.CANCELLED, messages.readerLeft, undefined);
  }

  onUndecodable(reason: unknown): unknown {
    const { output, fullName } = this.method;
    const text = messages.streamMessageUndecodable(output.typeName, textOf(reason));
    this.giveUp(Status.INTERNAL, text, reason);
    return new RpcError(Status.INTERNAL, text, { cause: reason }, { method: fullName });
  }

  get initialMetadata(): Promise<Metadata> {
    if (this.#asked === undefined) {
      this.#asked = deferred();
      // Nobody may be waiting for them: no unhandled rejection.
      this.#asked.promise.catch(() => {});
      this.#tellInitial();
    }
    return this.#asked.promise;
  }

  /** Only the first outcome counts. */
  #setInitial(initial: { readonly metadata: Metadata } | { readonly error: unknown }): void {
    this.#initial ??= initial;
    this.#tellInitial();
  }

  #tellInitial(): void {
    if (this.#initial === undefined || this.#asked === undefined) return;
    if ("error" in this.#initial) this.#asked.reject(this.#initial.error);
    else this.#asked.resolve(this.#initial.metadata);
  }

  override get stream(): CallStream {
    return this;
  }

  override start(): void {
    super.start();
    if (this.settled) return;
    const { clock } = this.#router.runtime;
    if (this.#plan.idleTimeoutMs !== Infinity) {
      this.#activeMs = clock.now();
      this.#watchIdle(this.#plan.idleTimeoutMs);
    }
    this.#requests?.run((thrown, bySource) => this.#onSourceFailed(thrown, bySource));
  }

  #onSourceFailed(thrown: unknown, bySource: boolean): void {
    if (!bySource && isOf(thrown, RpcError)) this.giveUp(thrown.code, thrown.rawMessage, thrown.cause);
    else this.giveUp(Status.CANCELLED, messages.sourceFailed(textOf(thrown)), thrown);
  }

  #watchIdle(afterMs: number): void {
    const { clock } = this.#router.runtime;
    const { idleTimeoutMs } = this.#plan;
    this.#idleTimer = clock.setTimer(() => {
      const leftMs = this.#activeMs + idleTimeoutMs - clock.now();
      if (leftMs > 0) this.#watchIdle(leftMs);
      else this.giveUp(Status.DEADLINE_EXCEEDED, messages.streamIdle(idleTimeoutMs), undefined);
    }, afterMs);
  }

  onActivity(): void {
    if (this.#idleTimer !== undefined) this.#activeMs = this.#router.runtime.clock.now();
  }

  override giveUp(code: StatusCode, text: string, cause: unknown): void {
    if (!this.settled) {
      this.#givenUp = true;
      this.replies?.clear();
    }
    super.giveUp(code, text, cause);
  }

  /** The reader stops: ends the call if it is still running, and drops what has arrived. */
  cancelByReader(reason: unknown): void {
    this.giveUp(Status.CANCELLED, messages.streamCancelled, reason);
    this.replies?.fail(new RpcError(Status.CANCELLED, messages.streamCancelled, { cause: reason }), true);
  }

  // --- from the connection ---

  onOpen(sender: RequestSender): void {
    this.#requests?.attach(sender);
  }

  onProgress(answered: boolean, metadata: Metadata | undefined): void {
    this.#requests?.settle();
    if (answered) this.#answer(metadata);
  }

  #answer(metadata: Metadata | undefined): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#setInitial({ metadata: metadata ?? new Metadata() });
    if (metadata !== undefined && typeof this.#listener === "function") this.#listener(metadata);
  }

  onBroken(error: RpcError): void {
    this.giveUp(error.code, error.rawMessage, error.cause);
  }

  protected override get repeatable(): boolean {
    return !this.#answered && (this.#requests?.repeatable ?? true);
  }

  override onReply(
    attempt: Attempt,
    message: unknown,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void {
    if (this.settled) return;
    const begun = this.#answered;
    fill(this.trailers, trailers);
    this.#answered = true;
    this.#setInitial({ metadata: metadata ?? new Metadata() });
    super.onReply(attempt, message, begun ? undefined : metadata, trailers);
  }

  override onFailure(attempt: Attempt, error: RpcError, refused: boolean): void {
    if (this.settled) return;
    this.#requests?.detach();
    const executed = this.#answered && error.executed === "never" ? "maybe" : error.executed;
    const consumed = this.#requests !== undefined && !this.#requests.repeatable;
    super.onFailure(
      attempt,
      consumed || executed !== error.executed ? error.with({}, executed, consumed) : error,
      refused,
    );
    // Those of a failure that is followed by another try are not the call's.
    if (this.settled) fill(this.trailers, error.trailers);
  }

  #onEnd(error: unknown): void {
    this.#idleTimer?.cancel();
    this.#requests?.close();
    if (error === undefined) this.replies?.end();
    else {
      this.#setInitial({ error });
      this.replies?.fail(error, this.#givenUp);
    }
  }
}

function fill(metadata: Metadata, more: Metadata | undefined): void {
  for (const [key, value] of more ?? []) metadata.append(key, value);
}

interface Deferred {
  readonly promise: Promise<Metadata>;
  resolve(metadata: Metadata): void;
  reject(error: unknown): void;
}

function deferred(): Deferred {
  let resolve!: (metadata: Metadata) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Metadata>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
