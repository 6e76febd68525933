import type { Clock } from "../base/clock.js";
import { Metadata } from "../base/metadata.js";
import { isOf } from "../base/thrown.js";
import {
  type CallReply,
  type ClientInterceptor,
  type ClientNext,
  compose,
  InterceptorMistake,
  isReply,
  type Layers,
  type OutgoingCall,
  type Trail,
} from "../call/interceptor.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { MethodDefinition, MethodKind } from "../protobuf/types.js";
import { begunMs, type ResolvedCallOptions } from "./client-call.js";

/** A call as client interceptors see it. */
export class PlannedCall implements OutgoingCall {
  /** Of its interceptors. */
  trail: Trail | undefined = undefined;
  readonly method: MethodDefinition;
  request: unknown;
  readonly options: ResolvedCallOptions;
  readonly metadata: Metadata;
  /** The requests that the last `next` was given, where the caller streams. */
  lastSource: unknown;
  /** How often `next` was called. */
  attempts = 0;
  /** No interceptor has awaited anything yet, so no time has passed. */
  sameTurn = true;
  readonly #clock: Clock;

  constructor(clock: Clock, method: MethodDefinition, request: unknown, options: ResolvedCallOptions) {
    this.#clock = clock;
    this.method = method;
    this.request = request;
    this.options = options;
    this.metadata = options.metadata ?? new Metadata();
  }

  get kind(): MethodKind {
    return this.method.kind;
  }

  get signal(): AbortSignal | undefined {
    return this.options.signals[0];
  }

  timeLeftMs(): number {
    const { deadlineMs } = this.options;
    return deadlineMs === Infinity ? Infinity : Math.max(0, deadlineMs - this.#clock.now());
  }
}

const trailOf = (call: OutgoingCall): Trail | undefined =>
  call instanceof PlannedCall ? call.trail : undefined;

/** The interceptors of a channel, around the function that sends a call. */
export class InterceptedCalls {
  readonly #clock: Clock;
  readonly #layers: Layers<OutgoingCall, CallReply>;

  /** `send` resolves to a `CallReply`; each `next` of an interceptor is a call of its own under the same deadline. */
  constructor(
    clock: Clock,
    interceptors: readonly ClientInterceptor[],
    send: (call: PlannedCall) => Promise<unknown>,
  ) {
    this.#clock = clock;
    const last: ClientNext = (call) => {
      if (!(call instanceof PlannedCall)) {
        return Promise.reject(new TypeError(messages.interceptorChangedCall));
      }
      call.attempts++;
      return send(call) as Promise<CallReply>;
    };
    this.#layers = compose("client", interceptors, last, trailOf);
  }

  /** An interceptor is the user's code: anything it throws becomes an `RpcError`. `whole`: the reply, not its message alone. */
  async run(call: PlannedCall, whole = false): Promise<unknown> {
    const { onMetadata } = call.options;
    try {
      call.trail = this.#layers.newTrail();
      const replying = this.#layers.run(call);
      call.sameTurn = false;
      const reply = await replying;
      if (!isReply(reply)) throw new TypeError(messages.interceptorReplyMisshapen);
      if (onMetadata !== undefined && reply.metadata.size > 0) onMetadata(reply.metadata);
      return whole ? reply : reply.message;
    } catch (thrown) {
      const blamed = isOf(thrown, RpcError) ? undefined : await this.#layers.blame(call.trail ?? [], isReply);
      const error = this.#errorOf(thrown, call, blamed);
      if (error.metadata !== undefined) onMetadata?.(error.metadata);
      throw error;
    }
  }

  #errorOf(thrown: unknown, call: PlannedCall, blamed: string | undefined): RpcError {
    // An error with the facts of a call comes from an attempt; it is passed on unchanged.
    const own = isOf(thrown, RpcError) ? thrown : undefined;
    if (own?.method !== undefined) return own;
    const { options, attempts } = call;
    const elapsedMs = this.#clock.now() - begunMs(options);
    const facts = { method: call.method.fullName, elapsedMs, attempts };
    const executed = attempts === 0 ? "never" : undefined;
    if (own !== undefined) return own.with(facts, executed);
    const { rawMessage } = RpcError.from(thrown);
    const unnamed = isOf(thrown, InterceptorMistake) ? rawMessage : messages.interceptorThrew(rawMessage);
    const text = blamed === undefined ? unnamed : `${blamed}: ${rawMessage}`;
    return new RpcError(Status.UNKNOWN, text, { cause: thrown, executed: executed ?? "maybe" }, facts);
  }
}
