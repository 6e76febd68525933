import type { Clock } from "../base/clock.js";
import { didYouMean } from "../base/nearest.js";
import type { CallOptions } from "../call/options.js";
import type { DescribedServices } from "../descriptor/json-codec.js";
import type { BytesForm } from "../descriptor/json-mapping.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Idempotency, MethodDefinition } from "../protobuf/types.js";
import type { JsonInput, JsonValue } from "../protobuf/well-known.js";
import { builtinDescriptors, Reflection } from "../services/builtin.js";

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
  /** Full name of the message it takes. */
  readonly input: string;
  /** Full name of the message it returns. */
  readonly output: string;
  readonly idempotency: Idempotency;
}

/** What the calls behind one generic call have in common. */
export interface CallOrigin {
  /** When the deadline began to run. */
  readonly sinceMs: number;
  /** The service whose providers are asked, when that is not the method's own. */
  readonly lookup?: string;
}

/** What a channel does for generic calls. */
export type GenericInvoke = (
  method: MethodDefinition,
  request: unknown,
  options: CallOptions,
  origin: CallOrigin,
) => Promise<unknown>;

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
  readonly #invoke: GenericInvoke;
  readonly #clock: Clock;
  readonly #descriptors: readonly Uint8Array[];
  readonly #services = new Map<string, Known>();

  constructor(invoke: GenericInvoke, options: { clock: Clock; descriptors: readonly Uint8Array[] }) {
    this.#invoke = invoke;
    this.#clock = options.clock;
    this.#descriptors = options.descriptors;
  }

  async call(
    service: string,
    method: string,
    request: JsonInput,
    options: JsonCallOptions,
  ): Promise<JsonValue> {
    const { bytes = "base64", ...callOptions } = options;
    if (bytes !== "base64" && bytes !== "text") {
      throw badCall(messages.unknownBytesForm(JSON.stringify(bytes)), `${service}.${method}`);
    }
    const sinceMs = this.#clock.now();
    // Once with what is remembered; when that does not fit, the provider may be a newer one, and is asked again.
    for (;;) {
      let known = this.#services.get(service);
      const remembered = known !== undefined && !known.doubted;
      try {
        if (known === undefined || known.doubted)
          known = await this.#describe(service, `${service}.${method}`, sinceMs, callOptions);
        const definition = findMethod(service, method, methodsOf(known, service, bytes));
        return (await this.#invoke(definition, request, callOptions, { sinceMs })) as JsonValue;
      } catch (error) {
        const misfit = isMisfit(error);
        if (misfit && known !== undefined) known.doubted = true;
        if (!misfit || !remembered || (error as RpcError).executed !== "never") throw error;
      }
    }
  }

  async methods(service: string, options: CallOptions): Promise<MethodDescription[]> {
    const known = await this.#describe(service, service, this.#clock.now(), options);
    return methodsOf(known, service, "base64").map(({ name, localName, input, output, idempotency }) => ({
      ...{ name, localName, idempotency },
      input: input.typeName,
      output: output.typeName,
    }));
  }

  async descriptors(service: string, options: CallOptions): Promise<readonly Uint8Array[]> {
    return (await this.#describe(service, service, this.#clock.now(), options)).descriptors;
  }

  /** `purpose`: what a failure is a failure of. */
  async #describe(service: string, purpose: string, sinceMs: number, options: CallOptions): Promise<Known> {
    if (this.#descriptors.length > 0) {
      const given = await this.#understand(service, this.#descriptors, (error) =>
        badCall(messages.wrongDescriptors(error.message), purpose, error),
      );
      if (given.described.methodsOf(service, "base64") !== undefined) return given;
    }
    const builtin = builtinDescriptors.get(service);
    const descriptors = builtin ?? (await this.#ask(service, purpose, sinceMs, options));
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
    sinceMs: number,
    { timeoutMs, signal, waitForReady }: CallOptions,
  ): Promise<readonly Uint8Array[]> {
    const options: CallOptions = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
      ...(waitForReady === undefined ? {} : { waitForReady }),
    };
    try {
      const reply = await this.#invoke(Reflection.methods.describe, { service }, options, {
        ...{ sinceMs, lookup: service },
      });
      return (reply as { descriptors: Uint8Array[] }).descriptors;
    } catch (thrown) {
      const error = RpcError.from(thrown);
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
