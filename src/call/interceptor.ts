import type { Metadata } from "../base/metadata.js";
import { describeValue } from "../base/options.js";
import { isOf, textOf, watchReturned } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import type { MethodDefinition, MethodKind } from "../protobuf/types.js";
import type { CallContext } from "./context.js";

/** What interceptors of both sides know of a call. */
interface InterceptedCall {
  readonly method: MethodDefinition;
  /** Which of the four kinds of methods it is: it determines the type of `request` and of the reply's `message`. */
  readonly kind: MethodKind;
  /** The message; where the caller streams, an iterable of them. An interceptor may put another one here. */
  request: unknown;
}

/** A call on its way out. Interceptors may change `request` and `metadata`. */
export interface OutgoingCall extends InterceptedCall {
  /** Sent with the request. */
  readonly metadata: Metadata;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds left until the deadline; `Infinity` without one. */
  timeLeftMs(): number;
}

/** A call on its way to the handler. Interceptors may change `request`. */
export interface IncomingCall extends InterceptedCall {
  readonly context: CallContext;
}

/** The result of a call, on either side. */
export interface CallReply {
  /** The message; where the provider streams, an iterable of them. An interceptor may put another one here. */
  message: unknown;
  /** Sent before the message. At the provider: what the handler put into `context.replyMetadata`. */
  readonly metadata: Metadata;
  /** Sent after the last message. At the provider: what the handler put into `context.replyTrailers`. */
  readonly trailers: Metadata;
}

/** Rejects with RpcError, whose `executed` tells whether another `next` is safe. May be called more than once. */
export type ClientNext = (call: OutgoingCall) => Promise<CallReply>;
export type ClientInterceptor = (next: ClientNext) => ClientNext;

/** Rejects with what the handler threw. */
export type ServerNext = (call: IncomingCall) => Promise<CallReply>;
export type ServerInterceptor = (next: ServerNext) => ServerNext;

/** Whether an interceptor returned a reply. A reply it created itself may lack trailers. */
export function isReply(value: unknown): value is CallReply {
  if (typeof value !== "object" || value === null || !("message" in value)) return false;
  const { metadata } = value as Partial<CallReply>;
  return typeof metadata?.size === "number";
}

/** What each layer returned for one call, the outermost first; the last is the call or the handler. Only used for errors. */
export type Trail = Array<PromiseLike<unknown> | undefined>;

type Layer<Call, Result> = (call: Call) => Promise<Result>;

export interface Layers<Call, Result> {
  /** An empty trail for one call, with its final size: growing it would double its cost per call. */
  newTrail(): Trail;
  /** Runs all interceptors around `last`. */
  readonly run: Layer<Call, Result>;
  /**
   * Which interceptor made an otherwise successful call fail, and how: `client interceptor "auth" threw`.
   * Undefined when it was none of them. `isResult`: whether a layer may return this value.
   */
  blame(trail: Trail, isResult: (value: unknown) => boolean): Promise<string | undefined>;
}

/**
 * `interceptors` around `last`, the first the outermost. Throws `TypeError` for one that is not of the form
 * `(next) => (call) => ...`, and a call fails with one when an interceptor returns no promise; both name it.
 * `trailOf` may return undefined for a call object that an interceptor created.
 */
export function compose<Call, Result>(
  side: "client" | "server",
  interceptors: ReadonlyArray<(next: Layer<Call, Result>) => Layer<Call, Result>>,
  last: Layer<Call, Result>,
  trailOf: (call: Call) => Trail | undefined,
): Layers<Call, Result> {
  const names = interceptors.map(
    ({ name }, at) =>
      `${side} interceptor ${name === "" ? `${at + 1} of ${interceptors.length}` : `"${name}"`}`,
  );
  const lastAt = interceptors.length;
  const noted = (at: number, layer: Layer<Call, Result>): Layer<Call, Result> => {
    return (call) => {
      const trail = trailOf(call);
      let given: Promise<Result>;
      try {
        given = layer(call);
        if (typeof given?.then !== "function") given = promiseOf(names[at] ?? "", given as unknown as Result);
      } catch (thrown) {
        const rejected = Promise.reject(thrown);
        rejected.catch(() => {});
        if (trail !== undefined) trail[at] = rejected;
        throw thrown;
      }
      if (trail !== undefined) trail[at] = given;
      return given;
    };
  };
  const run = interceptors.reduceRight(
    (next, interceptor, at) => noted(at, layerOf(names[at] as string, interceptor, next)),
    noted(lastAt, last),
  );
  return {
    newTrail: () => new Array(lastAt + 1),
    run,
    blame: (trail, isResult) => blame(trail, names, isResult),
  };
}

const form = "expected (next) => (call) => next(call)";

function layerOf<Call, Result>(
  name: string,
  interceptor: (next: Layer<Call, Result>) => Layer<Call, Result>,
  next: Layer<Call, Result>,
): Layer<Call, Result> {
  let layer: unknown;
  try {
    layer = interceptor(next);
  } catch (thrown) {
    const hint = interceptor.length > 1 ? `; it takes ${interceptor.length} arguments` : "";
    throw new TypeError(
      `${name}: ${form}, got a function that threw when it was given next: ${textOf(thrown)}${hint}`,
      {
        cause: thrown,
      },
    );
  }
  if (typeof layer === "function") return layer as Layer<Call, Result>;
  // An async or invalid interceptor may have called `next` already, and nobody else handles its rejection.
  watchReturned(layer, () => {});
  const got = isOf(layer, Promise) ? "a promise: it must not be async itself" : describeValue(layer);
  throw new TypeError(`${name}: ${form}, got a function that returns ${got}`);
}

/** The error already names the interceptor. */
export class InterceptorMistake extends TypeError {
  override readonly name = "TypeError";
}

/** A program without types may return the reply instead of a promise. Throws `InterceptorMistake` for an invalid value. */
function promiseOf<Result>(name: string, given: Result): Promise<Result> {
  if (typeof given === "object" && given !== null) return Promise.resolve(given);
  const got = given === undefined ? "nothing: write return next(call)" : describeValue(given);
  throw new InterceptorMistake(messages.interceptorReturned(name, got));
}

/** From the innermost outwards: errors of outer layers may be caused by an inner one. */
async function blame(
  trail: Trail,
  names: readonly string[],
  isResult: (value: unknown) => boolean,
): Promise<string | undefined> {
  for (let at = names.length; at >= 0; at--) {
    const given = trail[at];
    if (given === undefined) continue;
    const [wrong, how] = await outcomeOf(given, isResult);
    if (!wrong) continue;
    // The call or the handler failed by itself.
    return at === names.length || how === "" ? undefined : `${names[at]} ${how}`;
  }
  return undefined;
}

/** The state of a settled promise; a pending one is not at fault. */
async function outcomeOf(
  given: PromiseLike<unknown>,
  isResult: (value: unknown) => boolean,
): Promise<[wrong: boolean, how: string]> {
  const settled = Promise.resolve(given).then(
    (value): [boolean, string] => [
      !isResult(value),
      `gave ${value === undefined ? "nothing" : describeValue(value)} as the reply`,
    ],
    (thrown): [boolean, string] => [!isOf(thrown, RpcError), isOf(thrown, InterceptorMistake) ? "" : "threw"],
  );
  return Promise.race([settled, later()]);
}

/** Waits a few microtask turns: as many as a settled promise needs to run its callbacks. */
async function later(): Promise<[boolean, string]> {
  for (let turn = 0; turn < 5; turn++) await undefined;
  return [false, ""];
}
