import { NumberMap } from "../base/number-map.js";
import { checkOptions, describeValue, type Filled } from "../base/options.js";
import { textOf } from "../base/thrown.js";
import type { RpcController } from "../call/controller.js";
import type { CallReply } from "../call/interceptor.js";
import { wrongSource } from "../call/message-pump.js";
import type { CallOptions } from "../call/options.js";
import { callScope } from "../call/scope.js";
import type { IncomingStream, MessageSource } from "../call/streams.js";
import type { StubChannel } from "../call/stub.js";
import {
  type CallOrigin,
  type JsonCallOptions,
  JsonCalls,
  type MethodDescription,
} from "../dynamic/json-calls.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { InputOf, MethodDefinition, MethodKind, OutputOf } from "../protobuf/types.js";
import type { JsonInput, JsonValue } from "../protobuf/well-known.js";
import type { Resolver } from "../registry/registry.js";
import { type App, runtimeOf, securedRuntime } from "../runtime/app.js";
import type { BalancerName, ClassicChoice, Runtime } from "../runtime/runtime.js";
import type { Transport } from "../transport/transport.js";
import { type ChannelOptions, channelOptionRules, type Undefaulted } from "./channel-options.js";
import { type CallRouter, type ClientAttempt, ClientCall, type ResolvedCallOptions } from "./client-call.js";
import { ChannelToken, credentialsOf } from "./credentials.js";
import { LaterReplies, Replies, StreamReply, ToldByController } from "./incoming.js";
import { InterceptedCalls, PlannedCall } from "./intercepted-calls.js";
import { Picker } from "./picker.js";
import { localFailure, OptionsResolver } from "./resolve-options.js";
import { type MetadataListener, StreamCall } from "./stream-call.js";
import { SubchannelPool } from "./subchannel-pool.js";

/**
 * Makes calls: looks services up, keeps connections, balances, retries what provably never ran. One channel serves any
 * number of stubs and services; make one per process and share it.
 */
export class RpcChannel implements StubChannel, AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #router: CallRouter;
  readonly #registry: Resolver;
  /** Created because the channel has a `tls` option of its own. */
  readonly #ownTransport: Transport | undefined;
  readonly #pool: SubchannelPool;
  readonly #resolvers = new Map<string, Picker>();
  readonly #balancer: BalancerName;
  readonly #options: OptionsResolver;
  readonly #classic: ClassicChoice | undefined;
  /** The interceptors around `#dispatch`; undefined when there are none, so that a plain call pays nothing for them. */
  readonly #intercepted: InterceptedCalls | undefined;
  readonly #generic: JsonCalls;
  /** Calls whose replies stream. They may never end. */
  readonly #streams = new NumberMap<StreamCall>();
  #streamsMade = 0;
  readonly #onRuntimeClosed = (): void => this.#refuse(messages.applicationClosed);
  #inFlight = 0;
  /** Why the channel accepts no more calls. */
  #refusal: string | undefined;
  #whenIdle: (() => void) | undefined;

  /** Throws `TypeError` or `RangeError` for bad options. Connects to nothing yet. */
  constructor(app: App, options: ChannelOptions = {}) {
    const shared = runtimeOf("RpcChannel", app);
    const defaults: Filled<Omit<ChannelOptions, Undefaulted>> & Pick<ChannelOptions, Undefaulted> = {
      timeoutMs: shared.settings.callTimeoutMs,
      balancer: shared.settings.channel.balancer,
      waitForReady: false,
      interceptors: [],
      registry: shared.registry,
      descriptors: [],
    };
    const checked = checkOptions("RpcChannel", options, defaults, channelOptionRules);
    const { tls } = checked;
    const runtime = tls === undefined ? shared : securedRuntime("RpcChannel", shared, tls);
    this.#runtime = runtime;
    if (tls !== undefined) this.#ownTransport = runtime.transport;
    callScope.use();
    const { token: source } = runtime.settings.auth;
    const credentials =
      checked.credentials ?? (source === undefined ? undefined : credentialsOf(source, runtime));
    const token = credentials && new ChannelToken(runtime, credentials, (attempt) => this.#route(attempt));
    this.#router = {
      runtime,
      route:
        token === undefined
          ? (attempt) => this.#route(attempt)
          : (attempt) => (token.isReady(attempt.nowMs) ? this.#route(attempt) : token.hold(attempt)),
      get authorization() {
        return token?.authorization;
      },
      isHinted: (call) => this.#resolvers.get(serviceOf(call))?.isHinted ?? false,
      onSettled: () => this.#onSettled(),
    };
    this.#registry = checked.registry;
    const { timeoutMs, waitForReady, interceptors } = checked;
    this.#options = new OptionsResolver(runtime, {
      ...{ timeoutMs, waitForReady },
      changesMetadata: interceptors.length > 0,
    });
    this.#balancer = checked.balancer;
    this.#classic = checked.classic;
    this.#generic = new JsonCalls(
      {
        invoke: (method, request, callOptions, origin) =>
          this.#invoke(method, request, callOptions, origin.signal, false, origin),
        stream: (method, request, callOptions, origin) =>
          this.#openStream(method, request, callOptions, origin.signal, origin),
      },
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
    if (interceptors.length > 0) {
      const send = (planned: PlannedCall): Promise<unknown> => {
        const used = usedSource(planned);
        if (used !== undefined) return Promise.reject(used);
        const { method, request, options: plan, metadata } = planned;
        const call = this.#newCall(method, request, plan, metadata, "reply");
        // The time of the interceptors counts as well.
        if (!planned.sameTurn) call.beginAt(runtime.clock.now());
        const ended = this.#dispatch(call);
        if (!(call instanceof StreamCall) || call.replies === undefined) return ended;
        return call.initialMetadata.then((initial) => new StreamReply(call, initial));
      };
      this.#intercepted = new InterceptedCalls(runtime.clock, interceptors, send);
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
   * Sends a request without a reply. Resolves when it was handed to a connection; whether it arrives, and whether the
   * handler succeeds, is not reported.
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
   * Calls a method that takes a stream of requests and gives one reply. `requests`: any iterable or async iterable; it is read as
   * fast as the provider takes them. Rejects with `RpcError` only. With a source that throws it rejects CANCELLED, that error its `cause`.
   */
  clientStream<M extends MethodDefinition>(
    method: M,
    requests: MessageSource<InputOf<M["input"]>>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]>> {
    return this.#invoke(method, requests, options, undefined, false) as Promise<OutputOf<M["output"]>>;
  }

  /**
   * Calls a method that gives a stream of replies. Never throws: a failure is thrown as `RpcError` while iterating. There is no
   * deadline unless `timeoutMs` asks for one.
   */
  serverStream<M extends MethodDefinition>(
    method: M,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): IncomingStream<OutputOf<M["output"]>> {
    return this.stream(method, request, options) as IncomingStream<OutputOf<M["output"]>>;
  }

  /** Calls a method that takes a stream of requests and gives a stream of replies: `clientStream` and `serverStream` in one. */
  bidiStream<M extends MethodDefinition>(
    method: M,
    requests: MessageSource<InputOf<M["input"]>>,
    options?: CallOptions,
  ): IncomingStream<OutputOf<M["output"]>> {
    return this.stream(method, requests, options) as IncomingStream<OutputOf<M["output"]>>;
  }

  /**
   * What stubs call for a stream of replies. With a controller, as in the classic form, iterating never throws for a failed call: it
   * ends, and the controller has the failure. Throws `Error` for a controller that is already in use by a call.
   */
  stream(
    method: MethodDefinition,
    request: unknown,
    options?: CallOptions,
    controller?: RpcController,
  ): IncomingStream<unknown> {
    if (controller === undefined) return this.#openStream(method, request, options, undefined);
    controller.begin((error) => this.#runtime.log.error("a notifyOnCancel callback threw", { error }));
    return new ToldByController(this.#openStream(method, request, options, controller.signal), controller);
  }

  /**
   * Calls a method without generated code: `service` in full (`fixbug.UserServiceRpc`), `method` in the .proto's
   * spelling or the stubs' (`Login`, `login`), request and reply as JSON values in proto3's JSON mapping: int64 as
   * strings, bytes as base64 (see `JsonCallOptions.bytes`), enums by name. A field of the request that is left out has
   * its default, one that the message does not have fails the call; in the reply every field is there, unless its
   * absence says something. Interceptors see the JSON values.
   *
   * For a method that takes a stream of requests, `request` is any iterable or async iterable of JSON values, a list among them.
   *
   * The messages come from `ChannelOptions.descriptors`, or else from a provider of the service, which is asked once;
   * classic providers cannot be asked. Rejects with `RpcError` only: UNIMPLEMENTED for a method that is not there, one whose
   * replies stream (`streamJson`), or a service nobody describes, INTERNAL for JSON that is not the message.
   */
  callJson(
    service: string,
    method: string,
    request: JsonInput | MessageSource<JsonInput>,
    options: JsonCallOptions = {},
  ): Promise<JsonValue> {
    return this.#generic.call(service, method, request, options);
  }

  /**
   * As `callJson`, for a method that gives a stream of replies: each is a JSON value. `request` is one JSON value or, where the
   * caller streams too, any iterable or async iterable of them. Never throws: a failure is thrown while iterating.
   */
  streamJson(
    service: string,
    method: string,
    request: JsonInput | MessageSource<JsonInput>,
    options: JsonCallOptions = {},
  ): IncomingStream<JsonValue> {
    return this.#generic.stream(service, method, request, options);
  }

  /** The methods of a service, from the same source as the messages of `callJson`. Rejects with `RpcError` only. */
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
    const { kind, fullName } = method;
    if (kind !== "unary" && (kind !== "client_streaming" || oneway)) {
      const text = oneway
        ? messages.onewayStream(fullName, kind)
        : messages.wrongWayToCall(fullName, kind, wayToCall[kind]);
      return Promise.reject(localFailure(Status.UNIMPLEMENTED, text, fullName));
    }
    const plan = this.#plan(method, request, options, signal, oneway, origin);
    if (plan instanceof RpcError) return Promise.reject(plan);
    if (this.#intercepted === undefined) {
      return this.#dispatch(this.#newCall(method, request, plan, plan.metadata, plan.onMetadata));
    }
    return this.#intercepted.run(new PlannedCall(this.#runtime.clock, method, request, plan));
  }

  /** What a call was asked to do, or why it cannot be made. */
  #plan(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions | undefined,
    signal: AbortSignal | undefined,
    oneway: boolean,
    origin?: CallOrigin,
  ): ResolvedCallOptions | RpcError {
    const { kind, fullName } = method;
    try {
      const plan = this.#options.resolve(method, options, signal, oneway, origin);
      if (plan instanceof RpcError) return plan;
      if (kind !== "unary" && kind !== "server_streaming") {
        const wrong = wrongSource(request);
        if (wrong !== undefined) return localFailure(Status.INTERNAL, wrong, fullName);
      }
      if (this.#refusal === undefined) return plan;
    } catch (thrown) {
      // The options are the caller's own object.
      return localFailure(Status.INTERNAL, messages.callCannotBeMade(textOf(thrown)), fullName);
    }
    return localFailure(Status.UNAVAILABLE, this.#refusal, fullName);
  }

  #newCall(
    method: MethodDefinition,
    request: unknown,
    plan: ResolvedCallOptions,
    metadata: ResolvedCallOptions["metadata"],
    listener: MetadataListener,
  ): ClientCall {
    const Call = method.kind === "unary" ? ClientCall : StreamCall;
    return new Call(this.#router, method, request, plan, metadata, listener);
  }

  #openStream(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions | undefined,
    signal: AbortSignal | undefined,
    origin?: CallOrigin,
  ): IncomingStream<unknown> {
    if (typeof method?.fullName !== "string") return failedStream(noMethod(method));
    const { kind, fullName } = method;
    if (kind === "unary" || kind === "client_streaming") {
      const text = messages.wrongWayToCall(fullName, kind, wayToCall[kind]);
      return failedStream(localFailure(Status.UNIMPLEMENTED, text, fullName));
    }
    const plan = this.#plan(method, request, options, signal, false, origin);
    if (plan instanceof RpcError) return failedStream(plan);
    if (this.#intercepted === undefined) {
      const call = new StreamCall(this.#router, method, request, plan, plan.metadata, plan.onMetadata);
      void this.#dispatch(call);
      return new Replies(call);
    }
    const cancelled = new AbortController();
    const signals = [...plan.signals, cancelled.signal];
    const planned = new PlannedCall(this.#runtime.clock, method, request, { ...plan, signals });
    const reply = this.#intercepted.run(planned, true) as Promise<CallReply>;
    return new LaterReplies(reply, (reason) => cancelled.abort(reason));
  }

  #dispatch(call: ClientCall): Promise<unknown> {
    this.#inFlight++;
    try {
      call.start();
    } catch (error) {
      // The caller or a registry driver passed an invalid value.
      const text = messages.callCannotBeMade(textOf(error));
      call.fail(new RpcError(Status.INTERNAL, text, { executed: "never", cause: error }));
    }
    if (call instanceof StreamCall && call.replies !== undefined) this.#noteStream(call);
    return call.promise;
  }

  #noteStream(call: StreamCall): void {
    const number = ++this.#streamsMade;
    this.#streams.set(number, call);
    const forget = (): boolean => this.#streams.delete(number);
    call.promise.then(forget, forget);
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
      // An interceptor called `next` too late.
      if (this.#runtime.closed.aborted) resolver.refuse(messages.applicationClosed);
    }
    resolver.route(attempt);
  }

  /** The registry is closed with the runtime, so waiting calls fail at once. Calls that were sent may still end. */
  #refuse(reason: string): void {
    this.#refusal ??= reason;
    for (const resolver of this.#resolvers.values()) resolver.refuse(reason);
  }

  #onSettled(): void {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  }

  /**
   * Accepts no more calls and cancels those whose replies stream, since they might never end. Resolves when the others have ended and every
   * connection is closed. Idempotent.
   */
  async close(): Promise<void> {
    this.#refusal ??= messages.channelClosed;
    for (const call of this.#streams.values())
      call.giveUp(Status.CANCELLED, messages.channelClosedStream, undefined);
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
    this.#ownTransport?.close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What to call for a method of each kind. */
const wayToCall: Readonly<Record<MethodKind, string>> = {
  unary: "call",
  client_streaming: "clientStream",
  server_streaming: "serverStream",
  bidi_streaming: "bidiStream",
};

function failedStream(error: RpcError): IncomingStream<unknown> {
  return new LaterReplies(Promise.reject(error), () => {});
}

/** A generator or an `OutgoingStream` gives each message only once, so `next` cannot be called again with it. */
function usedSource(planned: PlannedCall): RpcError | undefined {
  const { method, request, lastSource } = planned;
  planned.lastSource = request;
  if (method.kind === "unary" || method.kind === "server_streaming") return undefined;
  const again = request === lastSource && !Array.isArray(request);
  if (!again) return undefined;
  return localFailure(Status.FAILED_PRECONDITION, messages.sourceUsed, method.fullName);
}

/** The service whose providers are asked. */
function serviceOf(call: ClientCall): string {
  return call.lookup ?? call.method.service;
}

function noMethod(given: unknown): RpcError {
  const hint = typeof given === "string" ? messages.callJsonTakesNames : "";
  const text = messages.notAMethod(describeValue(given), hint);
  return new RpcError(Status.INTERNAL, text, { executed: "never" });
}
