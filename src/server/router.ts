import { describeValue } from "../base/options.js";
import {
  type CallReply,
  compose,
  type IncomingCall,
  isReply,
  type ServerInterceptor,
  type Trail,
} from "../call/interceptor.js";
import { type BoundMethod, isThenable, type ServerCall } from "../call/server-call.js";
import { messages } from "../error/messages.js";
import type { MethodDefinition, ServiceDefinition } from "../protobuf/types.js";
import { shortName } from "../protobuf/types.js";

/** An interceptor may pass on another call object; the context is always the original one. */
const trailOf = (call: IncomingCall): Trail | undefined => (call.context as ServerCall | undefined)?.trail;

type Handler = (request: unknown, context: unknown) => unknown;

/** The services of a provider, by every name a caller may use. */
export class Router {
  readonly #interceptors: readonly ServerInterceptor[];
  readonly #builtin: boolean;
  readonly #services = new Map<
    string,
    { definition: ServiceDefinition; methods: Map<string, BoundMethod> }
  >();
  /** Short names, for classic callers. */
  readonly #short = new Map<string, string>();

  /** `builtin`: these are the services that every provider has. */
  constructor(interceptors: readonly ServerInterceptor[], builtin = false) {
    this.#interceptors = interceptors;
    this.#builtin = builtin;
  }

  get definitions(): ServiceDefinition[] {
    return [...this.#services.values()].map(({ definition }) => definition);
  }

  has(fullName: string): boolean {
    return this.#services.has(fullName);
  }

  /** `classic`: also reachable by its short name. Throws `TypeError` for a service that cannot be served. */
  add(definition: ServiceDefinition, handlers: object, classic: boolean): void {
    const { typeName } = definition;
    if (this.#services.has(typeName)) throw new TypeError(messages.serviceTwice(typeName));
    const short = shortName(typeName);
    const other = this.#short.get(short);
    if (classic && other !== undefined) {
      throw new TypeError(messages.shortNameTwice(typeName, other, short));
    }
    if (typeof handlers !== "object" || handlers === null) {
      throw new TypeError(messages.handlersNoObject(typeName, describeValue(handlers)));
    }
    const members = handlers as Readonly<Record<string, unknown>>;
    const missing = Object.keys(definition.methods).filter((name) => typeof members[name] !== "function");
    if (missing.length > 0) {
      throw new TypeError(messages.handlersMissing(typeName, missing.map((name) => `${name}()`).join(", ")));
    }
    const methods = new Map<string, BoundMethod>();
    for (const method of Object.values(definition.methods)) {
      methods.set(method.name, this.#bind(method, members[method.localName] as Handler, handlers));
    }
    this.#services.set(typeName, { definition, methods });
    if (classic) this.#short.set(short, typeName);
  }

  find(service: string, method: string): BoundMethod | undefined {
    const entry = this.#services.get(service) ?? this.#services.get(this.#short.get(service) ?? "");
    return entry?.methods.get(method);
  }

  #bind(definition: MethodDefinition, handler: Handler, self: object): BoundMethod {
    const builtin = this.#builtin;
    if (builtin && definition.kind !== "unary") {
      const invoke = (call: ServerCall): unknown => {
        call.enter(false);
        const given = handler.call(self, call.request, call);
        call.forgetSent();
        return given;
      };
      return { definition, invoke, replySizeBytes: 1, number: 0, builtin };
    }
    if (this.#interceptors.length === 0) {
      const invoke = (call: ServerCall): unknown => {
        call.enter(false);
        return handler.call(self, call.request, call);
      };
      return { definition, invoke, replySizeBytes: 1, number: 0, builtin };
    }
    // Not async: returning a promise from an async function costs two more promises and three more turns.
    const last = (call: IncomingCall): Promise<CallReply> => {
      try {
        // An interceptor may pass on another call object; the context is always the original one.
        const served = call.context as ServerCall;
        served.enter(true);
        const given = handler.call(self, call.request, call.context);
        if (!isThenable(given)) return Promise.resolve(served.replyOf(given));
        return Promise.resolve(given).then((message) => served.replyOf(message));
      } catch (thrown) {
        return Promise.reject(thrown);
      }
    };
    const { newTrail, run, blame } = compose("server", this.#interceptors, last, trailOf);
    return {
      definition,
      invoke(call) {
        call.trail = newTrail();
        return run(call);
      },
      blame: (call) => (call.trail === undefined ? undefined : blame(call.trail, isReply)),
      replySizeBytes: 1,
      number: 0,
      builtin,
    };
  }
}
