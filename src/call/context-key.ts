import type { CallContext } from "./context.js";

/**
 * A typed value that an interceptor hands to the handler, and to the interceptors behind it, with the call's context:
 *
 *     export const currentUser = new ContextKey<User>("currentUser");
 *     currentUser.set(call.context, user);      // in a server interceptor
 *     currentUser.get(context)?.name;           // in the handler
 *
 * Two keys are never the same, whatever their names, and a call without values costs nothing.
 */
export class ContextKey<T> {
  /** For errors. */
  readonly name: string;
  readonly #values = new WeakMap<CallContext, { readonly value: T }>();

  constructor(name: string) {
    this.name = name;
  }

  set(context: CallContext, value: T): void {
    this.#values.set(context, { value });
  }

  /** `undefined` when nobody has set it. */
  get(context: CallContext): T | undefined {
    return this.#values.get(context)?.value;
  }

  /** Throws `Error` that names the key when nobody has set it: the interceptor that should is missing. */
  require(context: CallContext): T {
    const held = this.#values.get(context);
    if (held !== undefined) return held.value;
    throw new Error(
      `${context.method.fullName}: the context has no ${this.name}; is its interceptor missing?`,
    );
  }
}
