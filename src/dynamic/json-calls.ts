import type { Clock } from "../base/clock.js";
import { didYouMean } from "../base/nearest.js";
import { MessagePump } from "../call/message-pump.js";
import type { CallOptions } from "../call/options.js";
import type { IncomingStream, MessageSource } from "../call/streams.js";
import type { DescribedServices } from "../descriptor/json-codec.js";
import type { BytesForm } from "../descriptor/json-mapping.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Idempotency, MethodDefinition, MethodKind } from "../protobuf/types.js";
import type { JsonInput, JsonValue } from "../protobuf/well-known.js";
import { builtinDescriptors, Reflection } from "../services/builtin.js";
import { JsonReplies } from "./json-replies.js";

export interface JsonCallOptions extends CallOptions {
  /**
   * How `bytes` fields stand in the JSON, both ways: `base64`, as proto3's mapping says, or `text`, as their UTF-8, for
   * protos that use `bytes` for names and messages. Default `base64`.
   */
  bytes?: BytesForm | undefined;
}

export interface MethodDescription {
  /** The .proto's spelling: `Login`. */
  readonly name: string;
  /** The spelling of stubs: `login`. */
  readonly localName: string;
  /** Which sides send a stream of messages: `streamJson` calls those whose replies stream, `callJson` the others. */
  readonly kind: MethodKind;
  /** Full name of the message it takes, once or as a stream. */
  readonly input: string;
  /** Full name of the message it returns, once or as a stream. */
  readonly output: string;
  readonly idempotency: Idempotency;
}

/** What the calls behind one generic call have in common. */
export interface CallOrigin {
  /** When the deadline began to run. */
  readonly sinceMs: number;
  /** The service whose providers are asked, when that is not the method's own. */
  readonly lookup?: string;
  /** Cancels, as the one of the options does. */
  readonly signal?: AbortSignal | undefined;
}

/** What a channel does for generic calls. */
export interface GenericChannel {
  /** A call of a method with one reply. */
  invoke(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions,
    origin: CallOrigin,
  ): Promise<unknown>;
  /** A call of a method whose replies stream. */
  stream(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions,
    origin: CallOrigin,
  ): IncomingStream<unknown>;
}

/** One generic call. */
interface JsonCall {
  readonly service: string;
  readonly method: string;
  readonly request: JsonInput | MessageSource<JsonInput>;
  readonly options: JsonCallOptions;
  readonly origin: CallOrigin;
}

/** Makes the call. Rejects when it fails before there is a reply. */
type Send<T> = (method: MethodDefinition, options: CallOptions) => Promise<T>;

/** What is known of one service. */
interface Known {
  /** As they came: the same ones need not be understood twice. */
  readonly descriptors: readonly Uint8Array[];
  readonly described: DescribedServices;
  /** A call did not fit it: ask again before the next. */
  doubted: boolean;
  /** For each form of bytes. Kept, because a connection remembers the methods it has called. */
  readonly methods: Map<BytesForm, readonly MethodDefinition[]>;
}

/** What is remembered of services that were called with JSON; the services of one cluster are never near this many. */
const servicesMax = 1024;

/**
 * Calls without generated code: a service's messages are read from descriptors, which its own providers give through
 * `mprpc.reflection.v1.Reflection`, or the user.
 */
export class JsonCalls {
  readonly #channel: GenericChannel;
  readonly #clock: Clock;
  readonly #descriptors: readonly Uint8Array[];
  readonly #services = new Map<string, Known>();

  constructor(channel: GenericChannel, options: { clock: Clock; descriptors: readonly Uint8Array[] }) {
    this.#channel = channel;
    this.#clock = options.clock;
    this.#descriptors = options.descriptors;
  }

  async call(
    service: string,
    method: string,
    request: JsonInput | MessageSource<JsonInput>,
    options: JsonCallOptions,
  ): Promise<JsonValue> {
    const origin = { sinceMs: this.#clock.now() };
    const reply = await this.#send(
      { service, method, request, options, origin },
      (definition, callOptions) => this.#channel.invoke(definition, request, callOptions, origin),
      "streamJson",
    );
    return reply as JsonValue;
  }

  stream(
    service: string,
    method: string,
    request: JsonInput | MessageSource<JsonInput>,
    options: JsonCallOptions,
  ): IncomingStream<JsonValue> {
    const left = new AbortController();
    const origin = { sinceMs: this.#clock.now(), signal: left.signal };
    const opening = this.#send(
      { service, method, request, options, origin },
      async (definition, callOptions) => {
        const replies = this.#channel.stream(definition, request, callOptions, origin);
        // Told by then is a failure before any reply, which is what a description that does not fit makes.
        await replies.metadata;
        return replies as IncomingStream<JsonValue>;
      },
      "callJson",
    );
    return new JsonReplies(opening, (reason) => left.abort(reason));
  }

  /** `otherwise`: what calls the methods that `send` does not. */
  async #send<T>(call: JsonCall, send: Send<T>, otherwise: "callJson" | "streamJson"): Promise<T> {
    const { service, method, request, origin } = call;
    const { bytes = "base64", ...options } = call.options;
    const name = `${service}.${method}`;
    if (bytes !== "base64" && bytes !== "text") {
      throw badCall(messages.unknownBytesForm(JSON.stringify(bytes)), name);
    }
    // Once with what is remembered; when that does not fit, the provider may be a newer one, and is asked again.
    for (;;) {
      let known = this.#services.get(service);
      const remembered = known !== undefined && !known.doubted;
      let sent = false;
      try {
        if (known === undefined || known.doubted)
          known = await this.#describe(service, name, origin, options);
        const definition = findMethod(service, method, methodsOf(known, service, bytes));
        checkKind(definition, request, otherwise);
        sent = true;
        return await send(definition, options);
      } catch (error) {
        const misfit = isMisfit(error);
        if (misfit && known !== undefined) known.doubted = true;
        const again = misfit && remembered && (error as RpcError).executed === "never";
        if (again && !(sent && isUsed(request))) continue;
        // Whoever writes into it is told that nobody will read.
        if (!sent && isSource(request)) void new MessagePump(request).stop();
        throw error;
      }
    }
  }

  async methods(service: string, options: CallOptions): Promise<MethodDescription[]> {
    const known = await this.#describe(service, service, { sinceMs: this.#clock.now() }, options);
    return methodsOf(known, service, "base64").map(({ input, output, ...method }) => ({
      ...{ name: method.name, localName: method.localName, kind: method.kind },
      idempotency: method.idempotency,
      input: input.typeName,
      output: output.typeName,
    }));
  }

  async descriptors(service: string, options: CallOptions): Promise<readonly Uint8Array[]> {
    return (await this.#describe(service, service, { sinceMs: this.#clock.now() }, options)).descriptors;
  }

  /** `purpose`: what a failure is a failure of. */
  async #describe(
    service: string,
    purpose: string,
    origin: CallOrigin,
    options: CallOptions,
  ): Promise<Known> {
    if (this.#descriptors.length > 0) {
      const given = await this.#understand(service, this.#descriptors, (error) =>
        badCall(messages.wrongDescriptors(error.message), purpose, error),
      );
      if (given.described.methodsOf(service, "base64") !== undefined) return given;
    }
    const builtin = builtinDescriptors.get(service);
    const descriptors = builtin ?? (await this.#ask(service, purpose, origin, options));
    return this.#understand(service, descriptors, (error) => {
      const text = messages.unusableDescription(service, error.message);
      return new RpcError(Status.INTERNAL, text, { executed: "never", cause: error }, { method: purpose });
    });
  }

  async #understand(
    service: string,
    descriptors: readonly Uint8Array[],
    failure: (error: Error) => RpcError,
  ): Promise<Known> {
    const before = this.#services.get(service);
    if (before !== undefined && areSame(before.descriptors, descriptors)) {
      before.doubted = false;
      return before;
    }
    const { DescribedServices } = await import("../descriptor/json-codec.js");
    let described: DescribedServices;
    try {
      described = new DescribedServices(descriptors);
    } catch (error) {
      throw failure(error as Error);
    }
    const known: Known = { descriptors, described, doubted: false, methods: new Map() };
    if (this.#services.size >= servicesMax) this.#services.clear();
    this.#services.set(service, known);
    return known;
  }

  /** Asks an instance of `service`. The metadata and the callbacks of the call itself are none of its business. */
  async #ask(
    service: string,
    purpose: string,
    origin: CallOrigin,
    { timeoutMs, signal, waitForReady }: CallOptions,
  ): Promise<readonly Uint8Array[]> {
    const options: CallOptions = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
      ...(waitForReady === undefined ? {} : { waitForReady }),
    };
    try {
      const reply = await this.#channel.invoke(Reflection.methods.describe, { service }, options, {
        ...origin,
        lookup: service,
      });
      return (reply as { descriptors: Uint8Array[] }).descriptors;
    } catch (thrown) {
      let error = RpcError.from(thrown);
      // A gRPC server has a reflection of its own.
      if (error.code === Status.UNIMPLEMENTED) {
        try {
          const { describeByReflection } = await import("./reflection-client.js");
          return await describeByReflection(
            (method, requests, streamOptions) =>
              this.#channel.stream(method, requests, streamOptions, { ...origin, lookup: service }),
            service,
            options,
          );
        } catch (again) {
          if (RpcError.from(again).code !== Status.UNIMPLEMENTED) error = RpcError.from(again);
        }
      }
      // Nothing of the user's ran, whatever became of the question.
      if (error.code !== Status.NOT_FOUND) throw error.with({ method: purpose }, "never");
      const { rawMessage, endpoint = "" } = error;
      const facts = { method: purpose, endpoint };
      throw new RpcError(Status.UNIMPLEMENTED, rawMessage, { executed: "never", cause: error }, facts);
    }
  }
}

function areSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((bytes, i) => Buffer.compare(bytes, b[i] as Uint8Array) === 0);
}

function methodsOf(known: Known, service: string, bytes: BytesForm): readonly MethodDefinition[] {
  let methods = known.methods.get(bytes);
  if (methods === undefined) {
    methods = known.described.methodsOf(service, bytes);
    if (methods === undefined) {
      const text = messages.undescribedMessages(service);
      throw new RpcError(Status.UNIMPLEMENTED, text, { executed: "never" });
    }
    known.methods.set(bytes, methods);
  }
  return methods;
}

/** `method` in the .proto's spelling or that of stubs. */
function findMethod(service: string, method: string, methods: readonly MethodDefinition[]): MethodDefinition {
  const found =
    methods.find(({ name }) => name === method) ?? methods.find(({ localName }) => localName === method);
  if (found !== undefined) return found;
  const names = methods.map(({ name }) => name);
  const hint = didYouMean(method, names) || messages.describedMethods(names.join(", "));
  const text = messages.undescribedMethod(service, JSON.stringify(method), hint);
  throw new RpcError(Status.UNIMPLEMENTED, text, { executed: "never" });
}

/** Throws `RpcError` for a method that the other function calls, and for a stream where one request belongs. */
function checkKind(
  { fullName, kind }: MethodDefinition,
  request: unknown,
  otherwise: "callJson" | "streamJson",
): void {
  const streams = kind === "server_streaming" || kind === "bidi_streaming";
  if (streams !== (otherwise === "callJson")) {
    const text = messages.wrongWayToCall(fullName, kind, otherwise);
    throw new RpcError(Status.UNIMPLEMENTED, text, { executed: "never" }, { method: fullName });
  }
  const takesOne = kind === "unary" || kind === "server_streaming";
  // A generator has no fields: it would be sent as the empty message.
  if (takesOne && isSource(request) && !Array.isArray(request)) {
    throw badCall(messages.sourceForOneRequest(fullName, kind), fullName);
  }
}

function isSource(request: unknown): request is MessageSource<JsonInput> {
  if (typeof request !== "object" || request === null) return false;
  return Symbol.asyncIterator in request || Symbol.iterator in request;
}

/** A generator, once it was sent from, cannot be sent again. */
function isUsed(request: unknown): boolean {
  return isSource(request) && !Array.isArray(request);
}

/** The failure may come from an outdated description. */
function isMisfit(error: unknown): boolean {
  if (!(error instanceof RpcError)) return false;
  return (
    error.code === Status.UNIMPLEMENTED ||
    (error.cause instanceof Error && error.cause.name === "JsonMappingError")
  );
}

function badCall(text: string, method: string, cause?: unknown): RpcError {
  return new RpcError(Status.INTERNAL, text, { executed: "never", cause }, { method });
}
