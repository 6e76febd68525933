import { describeValue } from "../base/options.js";
import { messages } from "../error/messages.js";
import type { InputOf, MethodDefinition, OutputOf, ServiceDefinition } from "../protobuf/types.js";
import type { CallContext } from "./context.js";
import { RpcController } from "./controller.js";
import type { CallOptions } from "./options.js";
import type { IncomingStream, MessageSource } from "./streams.js";

/** What a stub calls through. `RpcChannel` is one; tests may write their own. */
export interface StubChannel {
  /** For methods with one reply; where the caller streams, `request` is its source of messages. Rejects with `RpcError` only. */
  call<M extends MethodDefinition>(
    method: M,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]>>;
  /** The classic form: never rejects for a failed call; it resolves `undefined`, and the controller has the failure. */
  callMethod<M extends MethodDefinition>(
    method: M,
    controller: RpcController,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]> | undefined>;
  /**
   * For methods with a stream of replies; where the caller streams too, `request` is its source of messages. A failure is thrown
   * while iterating; with a controller, iterating ends and the controller has the failure.
   */
  stream(
    method: MethodDefinition,
    request: unknown,
    options?: CallOptions,
    controller?: RpcController,
  ): IncomingStream<unknown>;
}

/** What the handler of a method takes and gives, by its kind. */
type HandlerOf<M extends MethodDefinition> = M["kind"] extends "unary"
  ? (request: OutputOf<M["input"]>, context: CallContext) => Reply<M>
  : M["kind"] extends "server_streaming"
    ? (request: OutputOf<M["input"]>, context: CallContext) => MessageSource<InputOf<M["output"]>>
    : M["kind"] extends "client_streaming"
      ? (requests: AsyncIterable<OutputOf<M["input"]>>, context: CallContext) => Reply<M>
      : (
          requests: AsyncIterable<OutputOf<M["input"]>>,
          context: CallContext,
        ) => MessageSource<InputOf<M["output"]>>;

type Reply<M extends MethodDefinition> = Promise<InputOf<M["output"]>> | InputOf<M["output"]>;

/**
 * The handlers a service needs: one a method, keyed by `localName`. Of a reply over 128 KiB, `bytes` of 64 KiB and more are sent without
 * a copy: do not change a Buffer after a handler has returned it. A yielded one may be changed once the next message is requested.
 */
export type HandlersOf<S extends ServiceDefinition> = {
  [K in keyof S["methods"]]: HandlerOf<S["methods"][K]>;
};

/**
 * What each method of a generated stub with one reply does: `(request, options?)` or `(request, controller, options?)`. Of a request over
 * 128 KiB, `bytes` of 64 KiB and more are sent without a copy: do not change its Buffers before the promise has settled. After that
 * they may be changed at once, also when the call was cancelled.
 */
export function invokeStub<M extends MethodDefinition>(
  channel: StubChannel,
  method: M,
  request: unknown,
  second: CallOptions | RpcController | undefined,
  third: CallOptions | undefined,
): Promise<OutputOf<M["output"]> | undefined> {
  if (typeof channel?.call !== "function") return Promise.reject(noChannel(channel, method));
  return second instanceof RpcController
    ? channel.callMethod(method, second, request as InputOf<M["input"]>, third)
    : channel.call(method, request as InputOf<M["input"]>, second);
}

/** What each method of a generated stub with a stream of replies does. */
export function invokeStreamStub<M extends MethodDefinition>(
  channel: StubChannel,
  method: M,
  request: unknown,
  second: CallOptions | RpcController | undefined,
  third: CallOptions | undefined,
): IncomingStream<OutputOf<M["output"]>> {
  if (typeof channel?.stream !== "function") throw noChannel(channel, method);
  const stream =
    second instanceof RpcController
      ? channel.stream(method, request, third, second)
      : channel.stream(method, request, second);
  return stream as IncomingStream<OutputOf<M["output"]>>;
}

function noChannel(channel: unknown, method: MethodDefinition): TypeError {
  return new TypeError(messages.stubWithoutChannel(method.service, describeValue(channel)));
}
