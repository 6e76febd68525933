import { describeValue } from "../base/options.js";
import { messages } from "../error/messages.js";
import type { InputOf, MethodDefinition, OutputOf, ServiceDefinition } from "../protobuf/types.js";
import type { CallContext } from "./context.js";
import { RpcController } from "./controller.js";
import type { CallOptions } from "./options.js";

/** What a stub calls through. `RpcChannel` is one; tests may write their own. */
export interface StubChannel {
  /** Rejects with `RpcError` only. */
  call<M extends MethodDefinition>(
    method: M,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]>>;
  /** The classic form: never rejects for a failed call; it resolves `undefined`, and the controller knows why. */
  callMethod<M extends MethodDefinition>(
    method: M,
    controller: RpcController,
    request: InputOf<M["input"]>,
    options?: CallOptions,
  ): Promise<OutputOf<M["output"]> | undefined>;
}

/** The handlers a service needs: one a method, keyed by `localName`. */
export type HandlersOf<S extends ServiceDefinition> = {
  [K in keyof S["methods"]]: (
    request: OutputOf<S["methods"][K]["input"]>,
    context: CallContext,
  ) => Promise<InputOf<S["methods"][K]["output"]>> | InputOf<S["methods"][K]["output"]>;
};

/** What each method of a generated stub does: `(request, options?)` or `(request, controller, options?)`. */
export function invokeStub<M extends MethodDefinition>(
  channel: StubChannel,
  method: M,
  request: InputOf<M["input"]>,
  second: CallOptions | RpcController | undefined,
  third: CallOptions | undefined,
): Promise<OutputOf<M["output"]> | undefined> {
  if (typeof channel?.call !== "function") {
    const text = messages.stubWithoutChannel(method.service, describeValue(channel));
    return Promise.reject(new TypeError(text));
  }
  return second instanceof RpcController
    ? channel.callMethod(method, second, request, third)
    : channel.call(method, request, second);
}
