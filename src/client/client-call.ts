import { setMaxListeners } from "node:events";
import { Expiring } from "../base/deadlines.js";
import type { Unsubscribe } from "../base/emitter.js";
import { Metadata } from "../base/metadata.js";
import { Attempt, type CallOutcomeSink } from "../call/attempt.js";
import type { CallStream } from "../call/call-stream.js";
import type { CallReply } from "../call/interceptor.js";
import type { Cancellable, ParentCall } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { type CallPhase, RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { Runtime } from "../runtime/runtime.js";
import { Pushback, pushbackMs } from "./pushback.js";

/** The resolved options of one call: its own, with the defaults filled in. */
export interface ResolvedCallOptions {
  /** When the call was made. */
  startMs: number;
  /** When its time began to run, if that was earlier: a call in JSON first fetches its message types. */
  sinceMs: number | undefined;
  deadlineMs: number;
  /** The configured timeout, for the error text when the deadline passes. */
  timeoutMs: number;
  /** The deadline is the calling handler's, which is nearer than the call's own. */
  inherited: boolean;
  signals: readonly AbortSignal[];
  metadata: Metadata | undefined;
  /** Must not throw. */
  onMetadata: ((metadata: Metadata) => void) | undefined;
  idempotencyKey: string | undefined;
  waitForReady: boolean;
  oneway: boolean;
  parent: ParentCall | undefined;
  /** A stream ends when no message is sent or received for this long, ms; `Infinity`: never. */
  idleTimeoutMs: number;
  /** Call providers of this service instead of the method's own service, which is in no registry. */
  lookup: string | undefined;
}

/** Since when the caller has waited. */
export function begunMs(plan: ResolvedCallOptions): number {
  return plan.sinceMs ?? plan.startMs;
}

/** A try of a user's call. */
export type ClientAttempt = Attempt<ClientCall>;

/** Sends a call on its way, at first and again after a failure that proves no handler ran. */
export interface CallRouter {
  readonly runtime: Runtime;
  route(attempt: ClientAttempt): void;
  /** Whether the list used for `call` is a saved one, and the registry's own has not arrived yet. */
  isHinted(call: ClientCall): boolean;
  /** A call that went through `start` has ended. */
  onSettled(): void;
  /** The credentials of the channel; undefined: none. */
  readonly authorization: string | undefined;
}

/** The functions of the newest promise. Sharing one executor avoids a closure and its context for each call. */
let lastResolve: (message: unknown) => void;

function keepResolve(resolve: (message: unknown) => void): void {
  lastResolve = resolve;
}

/**
 * Rejects with `error` after recapturing its stack: the one from a socket or timer callback is useless.
 * V8 follows a promise to the async functions that await it, so a stack captured here has the lines of the caller.
 * It waits two microtask turns, after which the call's promise is chained to this one.
 */
async function failed(error: RpcError): Promise<never> {
  await undefined;
  await undefined;
  Error.captureStackTrace(error, failed);
  throw error;
}

/** One call of a user: its promise, its deadline and its attempts. It settles exactly once. */
export class ClientCall extends Expiring implements CallOutcomeSink, Cancellable {
  /** Resolves to the response message, or to a `CallReply` for interceptors. */
  readonly promise: Promise<unknown>;
  readonly method: MethodDefinition;
  readonly request: unknown;
  readonly metadata: Metadata | undefined;
  /** How many attempts went to an endpoint. */
  attempts = 0;
  /** Why the last attempt failed; reported if the deadline passes before another succeeds. */
  lastFailure: RpcError | undefined = undefined;
  /** An endpoint of a saved list has no such method: another provider now uses its address. The call waits for the real list. */
  misled = false;
  readonly #router: CallRouter;
  readonly #plan: ResolvedCallOptions;
  readonly #onMetadata: ((metadata: Metadata) => void) | "reply" | undefined;
  readonly #resolve: (message: unknown) => void;
  #attempt: ClientAttempt;
  #settled = false;
  #refusals = 0;
  #unsubscribe: Unsubscribe | undefined;

  constructor(
    router: CallRouter,
    method: MethodDefinition,
    request: unknown,
    plan: ResolvedCallOptions,
    metadata: Metadata | undefined,
    /** `"reply"`: the metadata comes with the message, as an `CallReply`. */
    onMetadata: ((metadata: Metadata) => void) | "reply" | undefined,
  ) {
    super();
    this.method = method;
    this.request = request;
    this.#router = router;
    this.#plan = plan;
    this.#attempt = new Attempt<ClientCall>(this, plan.startMs);
    this.metadata = metadata;
    this.#onMetadata = onMetadata;
    this.deadlineMs = plan.deadlineMs;
    this.promise = new Promise(keepResolve);
    this.#resolve = lastResolve;
  }

  get idempotencyKey(): string | undefined {
    return this.#plan.idempotencyKey;
  }

  /** See `CallOutcomeSink`. It is the channel's: a call has no field of its own for it. */
  get authorization(): string | undefined {
    return this.#router.authorization;
  }

  get oneway(): boolean {
    return this.#plan.oneway;
  }

  get waitForReady(): boolean {
    return this.#plan.waitForReady;
  }

  /** See ResolvedCallOptions. */
  get lookup(): string | undefined {
    return this.#plan.lookup;
  }

  get stream(): CallStream | undefined {
    return undefined;
  }

  /** It may be sent once more after a failure that proves no handler ran. */
  protected get repeatable(): boolean {
    return true;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** It starts later than its plan says. */
  beginAt(nowMs: number): void {
    this.#attempt.nowMs = nowMs;
  }

  /** Fails at once if it can, and starts the call otherwise. */
  start(): void {
    const { runtime } = this.#router;
    const { parent, signals, timeoutMs, inherited } = this.#plan;
    if (runtime.events.has("clientStart")) runtime.events.emit("clientStart", { call: this });
    if (!(this.deadlineMs > this.#attempt.nowMs)) {
      const text = inherited
        ? messages.callingHandlerOutOfTime
        : timeoutMs > 0
          ? messages.noTimeLeft(timeoutMs)
          : messages.noTimeGiven(timeoutMs);
      this.#fail(new RpcError(Status.DEADLINE_EXCEEDED, text, { executed: "never" }));
      return;
    }
    if (parent?.cancelReason !== undefined) {
      this.cancel(parent.cancelReason);
      return;
    }
    runtime.wheel.add(this);
    parent?.addChild(this);
    if (signals.length > 0 && this.#listen(signals)) return;
    this.#router.route(this.#attempt);
  }

  /** True when a signal is already aborted and has ended the call. */
  #listen(signals: readonly AbortSignal[]): boolean {
    const onAbort = (event: Event): void => this.#aborted(event.target as AbortSignal);
    this.#unsubscribe = () => {
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
    };
    for (const signal of signals) {
      if (signal.aborted) {
        this.#aborted(signal);
        return true;
      }
      // One signal for hundreds of calls is intended use; Node would warn of a leak at the eleventh listener.
      setMaxListeners(Infinity, signal);
      signal.addEventListener("abort", onAbort);
    }
    return false;
  }

  #aborted(signal: AbortSignal): void {
    const { reason } = signal;
    const text = reason instanceof RpcError ? reason.rawMessage : messages.cancelledBySignal;
    this.giveUp(Status.CANCELLED, text, reason);
  }

  /** The handler that made the call was cancelled. */
  cancel(reason: RpcError): void {
    const deadline = reason.code === Status.DEADLINE_EXCEEDED;
    const text = deadline ? messages.callingHandlerDeadlinePassed : messages.callingHandlerCancelled;
    this.giveUp(deadline ? Status.DEADLINE_EXCEEDED : Status.CANCELLED, text, reason);
  }

  onDeadline(): void {
    const { timeoutMs, inherited } = this.#plan;
    const text = inherited ? messages.inheritedDeadlinePassed : messages.noReplyInTime(timeoutMs);
    const { waitsFor } = this.#attempt;
    const waiting = waitsFor === undefined ? "" : messages.waitedFor(waitsFor());
    const last = this.lastFailure?.rawMessage;
    // What the call waits for may already include this reason: that every endpoint is down, and why.
    const told = last === undefined || waiting.includes(last);
    const before = told ? "" : messages.lastAttemptFailed(last);
    this.giveUp(Status.DEADLINE_EXCEEDED, text + waiting + before, this.lastFailure);
  }

  /** Ends the call from this side. */
  giveUp(code: StatusCode, text: string, cause: unknown): void {
    if (this.#settled) return;
    const attempt = this.#attempt;
    const unsent = attempt.abandon();
    const executed = unsent || attempt.phase === "resolve" || attempt.phase === "connect" ? "never" : "maybe";
    // No answer within the whole deadline also counts against the endpoint.
    if (code === Status.DEADLINE_EXCEEDED && executed === "maybe") this.#measure(false);
    this.#fail(new RpcError(code, text, { executed, cause }));
  }

  onAttempt(attempt: Attempt): void {
    attempt.number = ++this.attempts;
    const { events } = this.#router.runtime;
    if (events.has("attemptEnd")) attempt.sentMs = attempt.nowMs;
    if (events.has("attemptStart")) events.emit("attemptStart", { call: this, attempt });
  }

  onReply(
    _attempt: Attempt,
    message: unknown,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void {
    if (this.#settled) return;
    this.#end();
    this.#measure();
    this.#emitEnd(undefined);
    if (this.#onMetadata === "reply") {
      this.#resolve(new UnaryReply(message, metadata ?? new Metadata(), trailers));
      return;
    }
    if (metadata !== undefined) this.#onMetadata?.(metadata);
    this.#resolve(message);
  }

  onFailure(attempt: Attempt, error: RpcError, refused: boolean): void {
    if (this.#settled) return;
    if (refused && error.executed === "yes") {
      attempt.phase = "handle";
      this.#measure();
    }
    // Its answer arrived, or began to, and is invalid.
    if (!refused && error.executed === "yes") attempt.phase = "receive";
    // There was a connection, but the request was not sent on it.
    if (!refused && error.executed === "never" && attempt.phase === "wait") attempt.phase = "send";
    if (this.#mayGoOn(error, refused)) {
      this.lastFailure = error;
      this.#emitAttemptEnd(error, true);
      this.#tryAgain(attempt.endpoint, pushbackMs(error));
      return;
    }
    this.#fail(error);
  }

  #tryAgain(endpoint: string | undefined, waitMs: number): void {
    const { clock } = this.#router.runtime;
    const attempt = new Attempt<ClientCall>(this, clock.now());
    attempt.endpoint = endpoint;
    this.#attempt = attempt;
    if (waitMs > 0) new Pushback(attempt, waitMs, clock, () => this.#router.route(attempt));
    else this.#router.route(attempt);
  }

  /**
   * Transparent retries (gRFC A6): a call that was never sent is retried until its deadline; one that a provider refused
   * before any handler ran is retried once, as late as the provider asks, or not at all.
   */
  #mayGoOn(error: RpcError, refused: boolean): boolean {
    if (error.executed !== "never" || !this.repeatable || pushbackMs(error) < 0) return false;
    if (error.code === Status.UNIMPLEMENTED && this.#router.isHinted(this)) {
      this.misled = true;
      return true;
    }
    if (error.code !== Status.UNAVAILABLE) return false;
    return !refused || this.#refusals++ === 0;
  }

  /** Ends the call with an error that is not from an attempt, e.g. that there is no endpoint. */
  fail(error: RpcError, phase: CallPhase = this.#attempt.phase): void {
    this.#attempt.phase = phase;
    if (!this.#settled) this.#fail(error);
  }

  #fail(error: RpcError): void {
    this.#end();
    const facts: {
      method: string;
      phase: CallPhase;
      elapsedMs: number;
      attempts: number;
      endpoint?: string;
    } = {
      method: this.method.fullName,
      phase: this.#attempt.phase,
      elapsedMs: this.#router.runtime.clock.now() - begunMs(this.#plan),
      attempts: this.attempts,
    };
    if (this.#attempt.endpoint !== undefined) facts.endpoint = this.#attempt.endpoint;
    const full = error.with(facts);
    this.#emitEnd(full);
    if (full.metadata !== undefined && this.#onMetadata !== "reply") this.#onMetadata?.(full.metadata);
    this.#resolve(failed(full));
  }

  #end(): void {
    this.#settled = true;
    this.#router.runtime.wheel.remove(this);
    this.#plan.parent?.removeChild(this);
    this.#unsubscribe?.();
    this.#router.onSettled();
  }

  #measure(answered = true): void {
    const { observer, sentMs } = this.#attempt;
    if (observer === undefined) return;
    const now = this.#nowOrReplied;
    if (answered) observer.observe(now - sentMs, now);
    else observer.observeAtLeast(now - sentMs, now);
  }

  /** The clock is not read again if the reply has its arrival time. */
  get #nowOrReplied(): number {
    const { repliedMs } = this.#attempt;
    return repliedMs > 0 ? repliedMs : this.#router.runtime.clock.now();
  }

  #emitEnd(error: RpcError | undefined): void {
    const { events } = this.#router.runtime;
    this.#emitAttemptEnd(error, false);
    if (!events.has("clientEnd")) return;
    events.emit("clientEnd", {
      call: this,
      code: error?.code ?? Status.OK,
      executed: error?.executed ?? "yes",
      endpoint: this.#attempt.endpoint,
      attempts: this.attempts,
      elapsedMs: this.#nowOrReplied - begunMs(this.#plan),
      error,
    });
  }

  #emitAttemptEnd(error: RpcError | undefined, again: boolean): void {
    const { events } = this.#router.runtime;
    const attempt = this.#attempt;
    if (attempt.number === 0 || !events.has("attemptEnd")) return;
    events.emit("attemptEnd", {
      ...{ call: this, attempt, error, again },
      code: error?.code ?? Status.OK,
      executed: error?.executed ?? "yes",
      elapsedMs: this.#nowOrReplied - attempt.sentMs,
    });
  }
}

/** A reply of a unary call, whose trailers are created only when they are read. */
class UnaryReply implements CallReply {
  message: unknown;
  readonly metadata: Metadata;
  #trailers: Metadata | undefined;

  constructor(message: unknown, metadata: Metadata, trailers: Metadata | undefined) {
    this.message = message;
    this.metadata = metadata;
    this.#trailers = trailers;
  }

  get trailers(): Metadata {
    this.#trailers ??= new Metadata();
    return this.#trailers;
  }
}
