import { Metadata } from "../base/metadata.js";
import {
  boolean,
  bytes,
  callback,
  checkOptions,
  describeValue,
  type Filled,
  having,
  listOf,
  oneOf,
} from "../base/options.js";
import { callGuarded, isOf, textOf } from "../base/thrown.js";
import type { RpcController } from "../call/controller.js";
import {
  type ClientInterceptor,
  type ClientNext,
  compose,
  type IncomingReply,
  InterceptorMistake,
  type Layers,
  type OutgoingCall,
  type Trail,
} from "../call/interceptor.js";
import { type CallOptions, wrongCallOption } from "../call/options.js";
import { callScope } from "../call/scope.js";
import type { StubChannel } from "../call/stub.js";
import {
  type CallOrigin,
  type JsonCallOptions,
  JsonCalls,
  type MethodDescription,
} from "../dynamic/json-calls.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { InputOf, MethodDefinition, OutputOf } from "../protobuf/types.js";
import type { JsonInput, JsonValue } from "../protobuf/well-known.js";
import type { Registry } from "../registry/registry.js";
import { type App, runtimeOf } from "../runtime/app.js";
import { type BalancerName, balancerNames, type ClassicChoice, type Runtime } from "../runtime/runtime.js";
import { classicChoice } from "./classic-subchannels.js";
import {
  begunMs,
  type CallRouter,
  type ClientAttempt,
  ClientCall,
  parentCall,
  type ResolvedCallOptions,
} from "./client-call.js";
import { Picker } from "./picker.js";
import { SubchannelPool } from "./subchannel-pool.js";

export interface ChannelOptions {
  /** Deadline of a call that brings none, ms; `Infinity`: none. Default: `calltimeout` of the conf, 5000. */
  timeoutMs?: number | undefined;
  /** How an endpoint is chosen. Default: `channel.balancer` of the conf, `roundrobin`. */
  balancer?: BalancerName | undefined;
  /** Calls wait for an endpoint instead of failing UNAVAILABLE. Default false. */
  waitForReady?: boolean | undefined;
  /**
   * Whether classic providers may be called, while none of ours can be: `false`, or by service, full or short:
   * `{ "fixbug.UserServiceRpc": true, "*": false }`. Default, also for what is not named: `channel.classic` of the conf,
   * and without that yes, unless the registry has credentials (`zookeeper.auth`).
   */
  classic?: ClassicChoice | undefined;
  /** The first is the outermost. Default none. */
  interceptors?: readonly ClientInterceptor[] | undefined;
  /** Look services up here instead of in the runtime's registry. The channel does not close it. */
  registry?: Registry | undefined;
  /**
   * The .proto files, with all they import, for `callJson` to providers that cannot be asked for theirs (classic ones): the
   * bytes of a FileDescriptorProto each, as generated definitions carry them (`UserServiceRpc.descriptors`). Default none.
   */
  descriptors?: readonly Uint8Array[] | undefined;
}

const optionRules = {
  timeoutMs: { expected: "milliseconds > 0, or Infinity for no deadline", accepts: isTimeout },
  balancer: oneOf(...balancerNames),
  waitForReady: boolean,
  classic: classicChoice,
  interceptors: listOf(callback),
  registry: having("watch", "list"),
  descriptors: listOf(bytes),
};

/**
 * Makes calls: looks services up, keeps connections, balances, retries what provably never ran. One channel serves any
 * number of stubs and services; make one per process and share it.
 */
export class RpcChannel implements StubChannel, AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #router: CallRouter;
  readonly #registry: Registry;
  readonly #pool: SubchannelPool;
  readonly #resolvers = new Map<string, Picker>();
  readonly #balancer: BalancerName;
  readonly #timeoutMs: number;
  readonly #waitForReady: boolean;
  readonly #classic: ClassicChoice | undefined;
  /** The interceptors around `#dispatch`; undefined when there are none, so that a plain call pays nothing for them. */
  readonly #intercepted: Layers<OutgoingCall, IncomingReply> | undefined;
  readonly #generic: JsonCalls;
  readonly #onRuntimeClosed = (): void => this.#refuse(messages.applicationClosed);
  #inFlight = 0;
  /** Why it takes no more calls. */
  #refusal: string | undefined;
  #whenIdle: (() => void) | undefined;

  /** Throws `TypeError` or `RangeError` for bad options. Connects to nothing yet. */
  constructor(app: App, options: ChannelOptions = {}) {
    const runtime = runtimeOf("RpcChannel", app);
    const defaults: Filled<Omit<ChannelOptions, "classic">> & Pick<ChannelOptions, "classic"> = {
      timeoutMs: runtime.settings.callTimeoutMs,
      balancer: runtime.settings.channel.balancer,
      waitForReady: false,
      interceptors: [],
      registry: runtime.registry,
      descriptors: [],
    };
    const checked = checkOptions("RpcChannel", options, defaults, optionRules);
    this.#runtime = runtime;
    callScope.use();
    this.#router = {
      runtime,
      route: (attempt) => this.#route(attempt),
      isHinted: (call) => this.#resolvers.get(serviceOf(call))?.isHinted ?? false,
      onSettled: () => this.#onSettled(),
    };
    this.#registry = checked.registry;
    this.#timeoutMs = checked.timeoutMs;
    this.#balancer = checked.balancer;
    this.#waitForReady = checked.waitForReady;
    this.#classic = checked.classic;
    this.#generic = new JsonCalls(
      (method, request, callOptions, origin) =>
        this.#invoke(method, request, callOptions, undefined, false, origin),
      { clock: runtime.clock, descriptors: checked.descriptors },
    );
    this.#pool = new SubchannelPool(runtime, {
      measuresLatency: this.#balancer === "p2c",
      onAvailability: (subchannel) => {
        for (const resolver of this.#resolvers.values()) resolver.onAvailability(subchannel);
      },
    });
    if (runtime.closed.aborted) this.#refusal = messages.applicationClosed;
    else runtime.closed.addEventListener("abort", this.#onRuntimeClosed);
    if (checked.interceptors.length > 0) {
      const last: ClientNext = (call) => this.#lastNext(call);
      this.#intercepted = compose("client", checked.interceptors, last, trailOf);
    }
  }

  /** Calls `method`. Rejects with `RpcError` only; `executed` on it tells whether calling again is safe. */
  call<M extends MethodDefinition>(
    method: M,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]>> {
    return this.#invoke(method, request, options, undefined, false) as Promise<OutputOf<M["output"]>>;
  }

  /**
   * Sends a request that wants no reply. Resolves when it was handed to a connection; whether it arrives, and what the
   * handler makes of it, is not told.
   */
  async oneway<M extends MethodDefinition>(
    method: M,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<void> {
    await this.#invoke(method, request, options, undefined, true);
  }

  async callMethod<M extends MethodDefinition>(
    method: M,
    controller: RpcController,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]> | undefined> {
    controller.begin((error) => this.#runtime.log.error("a notifyOnCancel callback threw", { error }));
    try {
      const message = await this.#invoke(method, request, options, controller.signal, false);
      controller.finish();
      return message as OutputOf<M["output"]>;
    } catch (error) {
      controller.finish(RpcError.from(error));
      return undefined;
    }
  }

  /**
   * Calls a method without generated code: `service` in full (`fixbug.UserServiceRpc`), `method` in the .proto's
   * spelling or the stubs' (`Login`, `login`), request and reply as JSON values in proto3's JSON mapping: int64 as
   * strings, bytes as base64 (see `JsonCallOptions.bytes`), enums by name. A field of the request that is left out has
   * its default, one that the message does not have fails the call; in the reply every field is there, unless its
   * absence says something. Interceptors see the JSON values.
   *
   * The messages come from `ChannelOptions.descriptors`, or else from a provider of the service, which is asked once;
   * classic providers cannot be asked. Rejects with `RpcError` only: UNIMPLEMENTED for a method that is not there or a
   * service nobody describes, INTERNAL for JSON that is not the message.
   */
  callJson(
    service: string,
    method: string,
    request: JsonInput,
    options: JsonCallOptions = {},
  ): Promise<JsonValue> {
    return this.#generic.call(service, method, request, options);
  }

  /** The methods of a service, from where `callJson` takes its messages. Rejects with `RpcError` only. */
  describe(service: string, options: CallOptions = {}): Promise<MethodDescription[]> {
    return this.#generic.methods(service, options);
  }

  /**
   * The .proto files behind a service as FileDescriptorProtos, the service's own first; what `ChannelOptions.descriptors`
   * takes. Rejects with `RpcError` only.
   */
  descriptors(service: string, options: CallOptions = {}): Promise<readonly Uint8Array[]> {
    return this.#generic.descriptors(service, options);
  }

  #invoke(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions | undefined,
    signal: AbortSignal | undefined,
    oneway: boolean,
    origin?: CallOrigin,
  ): Promise<unknown> {
    if (typeof method?.fullName !== "string") return Promise.reject(noMethod(method));
    if (method.kind !== "unary") {
      const text = messages.streamsNotSupported(method.fullName, method.kind);
      return Promise.reject(localFailure(Status.UNIMPLEMENTED, text, method.fullName));
    }
    let plan: ResolvedCallOptions | RpcError;
    try {
      plan = this.#plan(method, options, signal, oneway, origin);
    } catch (thrown) {
      // The options are the caller's own object.
      const text = messages.callCannotBeMade(textOf(thrown));
      plan = localFailure(Status.INTERNAL, text, method.fullName);
    }
    if (plan instanceof RpcError) return Promise.reject(plan);
    if (this.#refusal !== undefined) {
      return Promise.reject(localFailure(Status.UNAVAILABLE, this.#refusal, method.fullName));
    }
    if (this.#intercepted === undefined) {
      return this.#dispatch(
        new ClientCall(this.#router, method, request, plan, plan.metadata, plan.onMetadata),
      );
    }
    return this.#runInterceptors(this.#intercepted, new PlannedCall(this.#runtime, method, request, plan));
  }

  /** An interceptor is the user's code: whatever it throws leaves as an RpcError. */
  async #runInterceptors(
    intercepted: Layers<OutgoingCall, IncomingReply>,
    call: PlannedCall,
  ): Promise<unknown> {
    try {
      call.trail = intercepted.newTrail();
      const replying = intercepted.run(call);
      call.sameTurn = false;
      const reply = await replying;
      if (!isReply(reply)) throw new TypeError(messages.interceptorReplyMisshapen);
      const { onMetadata } = call.plan;
      if (onMetadata !== undefined && reply.metadata.size > 0) onMetadata(reply.metadata);
      return reply.message;
    } catch (thrown) {
      const blamed = isOf(thrown, RpcError) ? undefined : await intercepted.blame(call.trail ?? [], isReply);
      const error = this.#interceptorError(thrown, call, blamed);
      if (error.metadata !== undefined) call.plan.onMetadata?.(error.metadata);
      throw error;
    }
  }

  #interceptorError(thrown: unknown, call: PlannedCall, blamed: string | undefined): RpcError {
    // With facts of a call it comes from an attempt, as it is.
    const own = isOf(thrown, RpcError) ? thrown : undefined;
    if (own?.method !== undefined) return own;
    const { plan, attempts } = call;
    const elapsedMs = this.#runtime.clock.now() - begunMs(plan);
    const facts = { method: call.method.fullName, elapsedMs, attempts };
    const executed = attempts === 0 ? "never" : undefined;
    if (own !== undefined) return own.with(facts, executed);
    const { rawMessage } = RpcError.from(thrown);
    const unnamed = isOf(thrown, InterceptorMistake) ? rawMessage : messages.interceptorThrew(rawMessage);
    const text = blamed === undefined ? unnamed : `${blamed}: ${rawMessage}`;
    return new RpcError(Status.UNKNOWN, text, { cause: thrown, executed: executed ?? "maybe" }, facts);
  }

  /** The end of the interceptors: each call of it is an attempt of its own under the same deadline. */
  #lastNext(call: OutgoingCall): Promise<IncomingReply> {
    if (!(call instanceof PlannedCall)) {
      return Promise.reject(new TypeError(messages.interceptorChangedCall));
    }
    call.attempts++;
    const { plan } = call;
    const attempt = new ClientCall(this.#router, call.method, call.request, plan, call.metadata, "reply");
    // Interceptors may take time, too.
    if (!call.sameTurn) attempt.beginAt(this.#runtime.clock.now());
    return this.#dispatch(attempt) as Promise<IncomingReply>;
  }

  #plan(
    method: MethodDefinition,
    options: CallOptions | undefined,
    signal: AbortSignal | undefined,
    oneway: boolean,
    origin: CallOrigin | undefined,
  ): ResolvedCallOptions | RpcError {
    if (options !== undefined && options !== null) {
      const wrong = wrongCallOption(options);
      if (wrong !== undefined) return localFailure(Status.INTERNAL, wrong, method.fullName);
    }
    const timeoutMs = options?.timeoutMs ?? this.#timeoutMs;
    const parent = parentCall();
    const startMs = this.#runtime.clock.now();
    const own = (origin?.sinceMs ?? startMs) + timeoutMs;
    let metadata: Metadata | undefined;
    if (options?.metadata !== undefined) {
      try {
        // Interceptors add to it, and the caller's own must not change.
        metadata =
          this.#intercepted === undefined ? Metadata.from(options.metadata) : new Metadata(options.metadata);
      } catch (error) {
        return localFailure(Status.INTERNAL, textOf(error), method.fullName);
      }
    }
    const inherited = parent !== undefined && parent.deadlineMs < own;
    return {
      deadlineMs: inherited ? parent.deadlineMs : own,
      inherited,
      timeoutMs,
      startMs,
      sinceMs: origin?.sinceMs,
      signals: signalsOf(options?.signal, signal),
      metadata,
      onMetadata: options?.onMetadata === undefined ? undefined : this.#guarded(options.onMetadata),
      idempotencyKey: options?.idempotencyKey,
      waitForReady: options?.waitForReady ?? this.#waitForReady,
      oneway,
      parent,
      lookup: origin?.lookup,
    };
  }

  /** The caller's callback, which must not be able to hurt the connection that calls it. */
  #guarded(onMetadata: (metadata: Metadata) => void): (metadata: Metadata) => void {
    return (metadata) =>
      callGuarded(
        () => onMetadata(metadata),
        (error) => this.#runtime.log.error("a caller's onMetadata threw", { error }),
      );
  }

  #dispatch(call: ClientCall): Promise<unknown> {
    this.#inFlight++;
    try {
      call.start();
    } catch (error) {
      // What the caller or a registry driver handed in is not what it should be.
      const text = messages.callCannotBeMade(textOf(error));
      call.fail(new RpcError(Status.INTERNAL, text, { executed: "never", cause: error }));
    }
    return call.promise;
  }

  #route(attempt: ClientAttempt): void {
    const service = serviceOf(attempt.call);
    let resolver = this.#resolvers.get(service);
    if (resolver === undefined) {
      resolver = new Picker({
        service,
        ...{ runtime: this.#runtime, registry: this.#registry, pool: this.#pool, balancer: this.#balancer },
        classic: this.#classic,
      });
      this.#resolvers.set(service, resolver);
      // An interceptor passed its call on too late.
      if (this.#runtime.closed.aborted) resolver.refuse(messages.applicationClosed);
    }
    resolver.route(attempt);
  }

  /** The registry is gone with the runtime: a call that waits would wait for nothing. Those that were sent may end. */
  #refuse(reason: string): void {
    this.#refusal ??= reason;
    for (const resolver of this.#resolvers.values()) resolver.refuse(reason);
  }

  #onSettled(): void {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  }

  /** Takes no more calls; resolves when those in flight have ended and every connection is closed. Idempotent. */
  async close(): Promise<void> {
    this.#refusal ??= messages.channelClosed;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const earlier = this.#whenIdle;
        this.#whenIdle = () => {
          earlier?.();
          resolve();
        };
      });
    }
    this.#runtime.closed.removeEventListener("abort", this.#onRuntimeClosed);
    for (const resolver of this.#resolvers.values()) resolver.close();
    this.#resolvers.clear();
    await this.#pool.close(messages.channelClosed);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A call as client interceptors see it. */
class PlannedCall implements OutgoingCall {
  /** Of its interceptors. */
  trail: Trail | undefined = undefined;
  readonly method: MethodDefinition;
  request: unknown;
  readonly plan: ResolvedCallOptions;
  readonly metadata: Metadata;
  /** How often it was passed on. */
  attempts = 0;
  /** No interceptor has waited for anything yet, so that no time has passed. */
  sameTurn = true;
  readonly #runtime: Runtime;

  constructor(runtime: Runtime, method: MethodDefinition, request: unknown, plan: ResolvedCallOptions) {
    this.#runtime = runtime;
    this.method = method;
    this.request = request;
    this.plan = plan;
    this.metadata = plan.metadata ?? new Metadata();
  }

  get signal(): AbortSignal | undefined {
    return this.plan.signals[0];
  }

  timeLeftMs(): number {
    const { deadlineMs } = this.plan;
    return deadlineMs === Infinity ? Infinity : Math.max(0, deadlineMs - this.#runtime.clock.now());
  }
}

const trailOf = (call: OutgoingCall): Trail | undefined =>
  call instanceof PlannedCall ? call.trail : undefined;

function isReply(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("message" in value)) return false;
  const { metadata } = value as Partial<IncomingReply>;
  return typeof metadata?.size === "number";
}

const noSignals: readonly AbortSignal[] = [];

function signalsOf(first: AbortSignal | undefined, second: AbortSignal | undefined): readonly AbortSignal[] {
  if (first === undefined) return second === undefined ? noSignals : [second];
  return second === undefined ? [first] : [first, second];
}

/** Whose providers are asked. */
function serviceOf(call: ClientCall): string {
  return call.lookup ?? call.method.service;
}

function isTimeout(value: unknown): boolean {
  return typeof value === "number" && value > 0;
}

function noMethod(given: unknown): RpcError {
  const hint = typeof given === "string" ? messages.callJsonTakesNames : "";
  const text = messages.notAMethod(describeValue(given), hint);
  return new RpcError(Status.INTERNAL, text, { executed: "never" });
}

/** A failure before anything was sent. */
function localFailure(code: StatusCode, text: string, method: string): RpcError {
  return new RpcError(code, text, { executed: "never" }, { method });
}
