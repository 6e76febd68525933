import type { Clock, Timer } from "../../base/clock.js";
import type { Metadata } from "../../base/metadata.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { textOf } from "../../base/thrown.js";
import { Attempt, type CallOutcomeSink } from "../../call/attempt.js";
import type { CallStream, RequestSender } from "../../call/call-stream.js";
import { MessageQueue, type MessageQueueOwner } from "../../call/message-queue.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import type { ClientSession } from "../../protocol/protocol.js";

/** What a call is made on: one connection, without a channel, its retries and its choice of providers. */
export interface SessionCallOptions {
  readonly session: ClientSession;
  readonly clock: Clock;
  readonly metadata: Metadata | undefined;
}

export type RequestOf<Method> =
  Method extends MethodDefinition<infer Request>
    ? Request extends { encode(message: infer In, ...rest: never[]): void }
      ? In
      : never
    : never;
export type ResponseOf<Method> =
  Method extends MethodDefinition<infer _, infer Response>
    ? Response extends { decode(...args: never[]): infer Out }
      ? Out
      : never
    : never;

/** A call with one request and one reply. Rejects with RpcError; with DEADLINE_EXCEEDED after `timeoutMs`. */
export function callUnary<Method extends MethodDefinition>(
  options: SessionCallOptions,
  method: Method,
  request: RequestOf<Method>,
  timeoutMs: number,
): Promise<ResponseOf<Method>> {
  return new Promise((resolve, reject) => {
    const call = new UnaryCall(options, method, request, timeoutMs, (message, error) => {
      if (error === undefined) resolve(message as ResponseOf<Method>);
      else reject(error);
    });
    call.start(options.session);
  });
}

abstract class SessionCall implements CallOutcomeSink {
  readonly method: MethodDefinition;
  readonly metadata: Metadata | undefined;
  readonly idempotencyKey = undefined;
  readonly oneway = false;
  abstract readonly request: unknown;
  abstract readonly stream: CallStream | undefined;
  abstract readonly deadlineMs: number;

  constructor(method: MethodDefinition, metadata: Metadata | undefined) {
    this.method = method;
    this.metadata = metadata;
  }

  onAttempt(): void {}
  abstract onReply(attempt: Attempt, message: unknown): void;
  abstract onFailure(attempt: Attempt, error: RpcError): void;
}

class UnaryCall extends SessionCall {
  readonly request: unknown;
  readonly stream = undefined;
  readonly deadlineMs: number;
  readonly #settle: (message: unknown, error: RpcError | undefined) => void;
  readonly #attempt: Attempt;
  readonly #timer: Timer;

  constructor(
    { clock, metadata }: SessionCallOptions,
    method: MethodDefinition,
    request: unknown,
    timeoutMs: number,
    settle: (message: unknown, error: RpcError | undefined) => void,
  ) {
    super(method, metadata);
    this.request = request;
    this.#settle = settle;
    const nowMs = clock.now();
    this.deadlineMs = nowMs + timeoutMs;
    this.#attempt = new Attempt(this, nowMs);
    const onTimeout = (): void => {
      this.#attempt.abandon();
      this.#settle(undefined, new RpcError(Status.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`));
    };
    this.#timer = new PeerTimer(clock, onTimeout, timeoutMs);
  }

  start(session: ClientSession): void {
    session.start(this.#attempt);
  }

  onReply(_attempt: Attempt, message: unknown): void {
    this.#timer.cancel();
    this.#settle(message, undefined);
  }

  onFailure(_attempt: Attempt, error: RpcError): void {
    this.#timer.cancel();
    this.#settle(undefined, error);
  }
}

/** A call that streams in both directions. It has no deadline: it lives until either side ends it. */
export class SessionStream<Method extends MethodDefinition>
  extends SessionCall
  implements CallStream, MessageQueueOwner
{
  readonly request = undefined;
  readonly deadlineMs = Infinity;
  readonly sendsMany = true;
  /** What comes. Iterating it rejects with RpcError when the stream breaks. */
  readonly replies: MessageQueue<ResponseOf<Method>>;
  readonly #attempt: Attempt;
  #sender: RequestSender | undefined;

  constructor({ session, clock, metadata }: SessionCallOptions, method: Method) {
    super(method, metadata);
    this.replies = new MessageQueue(method.output, "a stream of replies") as MessageQueue<ResponseOf<Method>>;
    this.replies.owner = this;
    this.#attempt = new Attempt<CallOutcomeSink>(this, clock.now());
    session.start(this.#attempt);
  }

  get stream(): CallStream {
    return this;
  }

  /** False: there is no room for it, or the stream is over. */
  send(message: RequestOf<Method>): boolean {
    if (this.#sender?.hasRoom !== true) return false;
    this.#sender.send(message);
    return true;
  }

  /** Ends it at once, for both sides. */
  close(): void {
    void this.replies.return();
  }

  onOpen(sender: RequestSender): void {
    this.#sender = sender;
  }

  onProgress(): void {}
  onActivity(): void {}

  onBroken(error: RpcError): void {
    this.#attempt.abandon();
    this.#fail(error);
  }

  onReply(): void {
    this.#sender = undefined;
    this.replies.end();
  }

  onFailure(_attempt: Attempt, error: RpcError): void {
    this.#fail(error);
  }

  onReaderLeft(): void {
    this.#sender = undefined;
    this.#attempt.abandon();
  }

  onUndecodable(reason: unknown): unknown {
    this.onReaderLeft();
    return new RpcError(Status.INTERNAL, `a message cannot be read: ${textOf(reason)}`, { cause: reason });
  }

  #fail(error: RpcError): void {
    this.#sender = undefined;
    this.replies.fail(error, false);
  }
}
