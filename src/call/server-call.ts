import type { Clock } from "../base/clock.js";
import { Expiring } from "../base/deadlines.js";
import { Metadata } from "../base/metadata.js";
import { isOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import type { Executed } from "../error/rpc-error.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, toStatusCode } from "../error/status.js";
import type { MethodDefinition, MethodKind } from "../protobuf/types.js";
import type { CallContext } from "./context.js";
import { RpcController } from "./controller.js";
import { type CallReply, type IncomingCall, isReply, type Trail } from "./interceptor.js";
import type { Peer } from "./peer.js";
import { type Cancellable, callScope, type ParentCall } from "./scope.js";
import type { Turn } from "./turn.js";

/** A method with its handler, interceptors composed around it. */
export interface BoundMethod {
  readonly definition: MethodDefinition;
  /** Returns the response message, or a promise of it; may throw. Goes through `call.enter` before the handler runs. */
  invoke(call: ServerCall): unknown;
  /** For the log: which interceptor made the call fail and how, if one did. */
  blame?(call: ServerCall): Promise<string | undefined> | undefined;
  /** Length of the size prefix of its last reply, bytes. */
  replySizeBytes: number;
  /** Counts the methods a policy has allowed somebody; 0: none yet. */
  number: number;
  /** Every provider has it: its streams, which strangers may open, are few. */
  readonly builtin: boolean;
}

/** Requests of built-in services are small, and strangers may send them: a larger one is refused, bytes. */
export const builtinRequestMaxBytes = 128 * 1024;

/** The connection of a call, of any protocol. Each call ends with exactly one of `reply` and `fail`, once. */
export interface ReplySender {
  readonly peer: Peer;
  /** Sends the reply. Returns an error when the message cannot be sent (and nothing was). */
  reply(call: ServerCall, message: unknown): RpcError | undefined;
  /** Sends the failure; `error.executed` is right already. */
  fail(call: ServerCall, error: RpcError): void;
  /** A handler goes on although its call has ended (1), or has come back since (-1). */
  onDetached(by: 1 | -1): void;
  /** No more calls are taken. */
  readonly draining: boolean;
}

/** What the provider does before and after every call. */
export interface ServerCallHost {
  readonly clock: Clock;
  readonly turn: Turn;
  /** The call has been answered or given up. `hidden`: the real error, for the log, when the caller gets a generic one. */
  onCallEnd(call: ServerCall, error: RpcError | undefined, hidden: unknown): void;
  /** A handler goes on although its call has ended (1), or has come back since (-1). */
  onDetached(by: 1 | -1, call: ServerCall): void;
  /** A callback of the handler threw. */
  onCallbackError(call: ServerCall, thrown: unknown): void;
}

const nothingSent = {};

/** Added to the text of a limit when given-up calls count as well, since their handlers still run. */
export function stillRunning(detached: number): string {
  return detached === 0 ? "" : messages.givenUpInHandlers(detached);
}

/** One call at the provider: the handler's context, the parent of nested calls, and the guarantee that it ends once. */
export class ServerCall extends Expiring implements CallContext, IncomingCall, ParentCall {
  readonly bound: BoundMethod;
  request: unknown;
  readonly id: number;
  readonly startMs: number;
  handlerStarted = false;
  /** Its request arrives in chunks, and is not complete. */
  arriving = false;
  idempotencyKey: string | undefined;
  protected readonly port: ReplySender;
  readonly #host: ServerCallHost;
  #metadata: Metadata | undefined;
  #replyMetadata: Metadata | undefined;
  #replyTrailers: Metadata | undefined;
  #abort: AbortController | undefined;
  #draining: AbortController | undefined;
  #controller: RpcController | undefined;
  #children: Set<Cancellable> | undefined;
  #ended = false;
  /** The handler was called and has not finished. */
  #running = false;
  /** The handler still runs although the call has ended. */
  #detached = false;
  cancelReason: RpcError | undefined = undefined;
  /** What each interceptor returned; undefined without interceptors, when the handler's message is the reply. */
  trail: Trail | undefined = undefined;

  constructor(
    host: ServerCallHost,
    port: ReplySender,
    bound: BoundMethod,
    request: unknown,
    id: number,
    startMs: number,
    /** -1: no deadline. */
    timeoutMs: number,
    sent: { readonly metadata?: Metadata; readonly idempotencyKey?: string } = nothingSent,
  ) {
    super();
    this.#host = host;
    this.port = port;
    this.bound = bound;
    this.request = request;
    this.id = id;
    this.startMs = startMs;
    this.deadlineMs = timeoutMs < 0 ? Infinity : startMs + timeoutMs;
    this.#metadata = sent.metadata;
    this.idempotencyKey = sent.idempotencyKey;
  }

  // --- what the handler sees ---

  get context(): CallContext {
    return this;
  }

  get method(): MethodDefinition {
    return this.bound.definition;
  }

  get kind(): MethodKind {
    return this.bound.definition.kind;
  }

  get peer(): Peer {
    return this.port.peer;
  }

  get metadata(): Metadata {
    this.#metadata ??= new Metadata();
    return this.#metadata;
  }

  get replyMetadata(): Metadata {
    this.#replyMetadata ??= new Metadata();
    return this.#replyMetadata;
  }

  get replyTrailers(): Metadata {
    this.#replyTrailers ??= new Metadata();
    return this.#replyTrailers;
  }

  /** The handler's result, as interceptors see it. */
  replyOf(message: unknown): CallReply {
    return new HandlerReply(this, message);
  }

  /** The reply's metadata if the handler set any. */
  get replyMetadataIfAny(): Metadata | undefined {
    return this.#replyMetadata !== undefined && this.#replyMetadata.size > 0
      ? this.#replyMetadata
      : undefined;
  }

  get replyTrailersIfAny(): Metadata | undefined {
    return this.#replyTrailers !== undefined && this.#replyTrailers.size > 0
      ? this.#replyTrailers
      : undefined;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.cancelReason !== undefined) this.#abort.abort(this.cancelReason);
    }
    return this.#abort.signal;
  }

  get draining(): AbortSignal {
    if (this.#draining === undefined) {
      this.#draining = new AbortController();
      if (this.port.draining) this.#draining.abort();
    }
    return this.#draining.signal;
  }

  /** The provider stops, or the connection has reached its maximum age. */
  startDraining(): void {
    this.#draining?.abort();
  }

  sendMetadata(): void {}

  /** The handler needs nothing more of what came with the call: one that may stay for days holds none of it. */
  forgetSent(): void {
    this.request = undefined;
    this.#metadata = undefined;
    this.idempotencyKey = undefined;
  }

  get controller(): RpcController {
    if (this.#controller === undefined) {
      this.#controller = new RpcController();
      this.#controller.begin((thrown) => this.#host.onCallbackError(this, thrown));
      if (this.cancelReason !== undefined) this.#controller.startCancel();
    }
    return this.#controller;
  }

  timeLeftMs(): number {
    return this.deadlineMs === Infinity ? Infinity : Math.max(0, this.deadlineMs - this.#host.clock.now());
  }

  get ended(): boolean {
    return this.#ended;
  }

  // --- life ---

  /** Runs interceptors and handler inside the call's scope; the call ends exactly once. */
  run(): void {
    let result: unknown;
    this.#running = true;
    try {
      result = callScope.run<ServerCall>(this, this.bound.invoke);
      // Inside the scope as well, since a thenable is also the user's code.
      if (isThenable(result)) {
        result.then(
          (given) => this.succeed(given),
          (thrown) => this.failWith(thrown),
        );
        return;
      }
    } catch (thrown) {
      this.failWith(thrown);
      return;
    }
    this.succeed(result);
  }

  /**
   * The handler is about to be called. Throws when the call has ended meanwhile, since its caller may have got `executed: never`,
   * or when its deadline has passed but its timer has not fired yet. `waited`: interceptors ran first.
   */
  enter(waited: boolean): void {
    const { turn } = this.#host;
    if (this.deadlineMs !== Infinity && this.deadlineMs <= (waited ? turn.later() : turn.nowMs)) {
      this.onDeadline();
    }
    if (this.#ended) {
      throw this.cancelReason ?? new RpcError(Status.CANCELLED, messages.callEndedBeforeHandler);
    }
    this.handlerStarted = true;
  }

  onDeadline(): void {
    const text = this.handlerStarted
      ? messages.deadlinePassedInHandler
      : messages.deadlinePassedBeforeHandler;
    this.cancel(new RpcError(Status.DEADLINE_EXCEEDED, text));
  }

  /** The caller, the deadline, the connection or the provider ends the call. The handler's signal is aborted, and its result is dropped. */
  cancel(reason: RpcError): void {
    if (this.#ended || this.cancelReason !== undefined) return;
    this.cancelReason = reason;
    this.#abort?.abort(reason);
    this.#controller?.startCancel();
    for (const child of this.#children ?? []) child.cancel(reason);
    // A stopped handler may or may not have done its work.
    this.#end(reason, undefined, "maybe");
  }

  addChild(child: Cancellable): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  removeChild(child: Cancellable): void {
    this.#children?.delete(child);
  }

  /** The handler, or the outermost interceptor, has returned the reply. */
  protected succeed(given: unknown): void {
    if (this.trail === undefined) this.complete(given);
    else if (isReply(given)) this.complete(this.unwrapped(given));
    else this.failWith(new TypeError(messages.interceptorReplyMisshapen));
  }

  /** The message of a reply from interceptors, which may have created it themselves. */
  protected unwrapped(reply: CallReply): unknown {
    if (!(reply instanceof HandlerReply)) {
      this.#replyMetadata = reply.metadata;
      this.#replyTrailers = reply.trailers;
    }
    return reply.message;
  }

  /** The handler is done, and this is its reply. */
  protected complete(message: unknown): void {
    if (this.#ended) {
      this.comeBack();
      return;
    }
    this.#running = false;
    if (this.#controller?.failed()) {
      this.#end(this.#controller.error as RpcError, undefined, "yes");
      return;
    }
    const unsendable = this.port.reply(this, message);
    if (unsendable !== undefined) this.#end(unsendable, unsendable.cause, "yes");
    else this.#finish(undefined, undefined);
  }

  protected failWith(thrown: unknown): void {
    if (this.#ended) {
      this.comeBack();
      return;
    }
    this.#running = false;
    const view = this.#callersView(thrown);
    this.#end(view, view === thrown ? undefined : (thrown ?? `${thrown} was thrown`), "yes");
  }

  /** The handler of an ended call has finished: release what it holds, and stop counting it. */
  protected comeBack(): void {
    this.#running = false;
    if (!this.#detached) return;
    this.#detached = false;
    this.port.onDetached(-1);
    this.#host.onDetached(-1, this);
  }

  /** An RpcError the handler made goes to the caller as it is; any other error, including a nested call's failure, is hidden from the caller. */
  #callersView(thrown: unknown): RpcError {
    if (isOf(thrown, RpcError) && thrown.code !== Status.OK && toStatusCode(thrown.code) === thrown.code) {
      if (thrown.method === undefined) return thrown;
      if (thrown.code === Status.DEADLINE_EXCEEDED || thrown.code === Status.CANCELLED) {
        return new RpcError(thrown.code, messages.nestedCallFailed);
      }
    }
    return new RpcError(Status.UNKNOWN, messages.handlerFailed);
  }

  /** `ran`: the value of `executed` if the handler was started. */
  #end(error: RpcError, hidden: unknown, ran: Executed): void {
    if (this.#ended) return;
    // Before the connection is notified: a classic one closes on a failure, and cancels its calls in flight.
    this.#ended = true;
    if (this.#running) {
      this.#detached = true;
      this.port.onDetached(1);
      this.#host.onDetached(1, this);
    }
    const executed = this.handlerStarted ? ran : "never";
    let final = error;
    let reason = hidden;
    try {
      if (error.executed !== executed) final = error.with({}, executed);
      this.port.fail(this, final);
    } catch (thrown) {
      // The handler created the error, so its fields may hold anything.
      final = new RpcError(Status.UNKNOWN, messages.handlerFailed, { executed });
      reason = thrown ?? error;
      this.port.fail(this, final);
    }
    this.#finish(final, reason);
  }

  /** The call has ended, successfully or not; its handler may still be running. */
  protected onEnded(): void {}

  #finish(error: RpcError | undefined, hidden: unknown): void {
    this.#ended = true;
    this.#controller?.finish();
    this.onEnded();
    this.#host.onCallEnd(this, error, hidden);
  }
}

/** A reply whose metadata are those of its call, created only when they are read. */
class HandlerReply implements CallReply {
  message: unknown;
  readonly #call: ServerCall;

  constructor(call: ServerCall, message: unknown) {
    this.#call = call;
    this.message = message;
  }

  get metadata(): Metadata {
    return this.#call.replyMetadata;
  }

  get trailers(): Metadata {
    return this.#call.replyTrailers;
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
