import type { BoundMethod } from "../../call/server-call.js";
import type { Dispatcher } from "../dispatcher.js";
import type { FrameHeader } from "./wire/header.js";

/** Most method indexes of a connection; exceeding it is a protocol error of the caller. */
const methodIndexesMax = 4096;
const unknownMethod = Symbol("unknown method");

/** The methods that the caller of one connection has named, by the index it agreed on for each. */
export class MethodIndex {
  readonly #dispatcher: Dispatcher;
  readonly #methods: Array<BoundMethod | typeof unknownMethod | undefined> = [];

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  /** The method a call names, by index or by name; a first use of an index is remembered, also when it is unknown. */
  find(header: FrameHeader): BoundMethod | undefined {
    const { methodIndex, rare } = header;
    if (rare.serviceName === undefined && rare.methodName === undefined) {
      const known = this.#methods[methodIndex];
      return known === unknownMethod ? undefined : known;
    }
    const bound = this.#dispatcher.find(rare.serviceName ?? "", rare.methodName ?? "");
    if (methodIndex > 0 && methodIndex <= methodIndexesMax)
      this.#methods[methodIndex] = bound ?? unknownMethod;
    return bound;
  }
}
