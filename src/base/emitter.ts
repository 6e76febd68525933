import { didYouMean } from "./nearest.js";
import { describeValue } from "./options.js";
import { watchReturned } from "./thrown.js";

export type Unsubscribe = () => void;

/**
 * Typed events without surprises: a listener that throws neither stops the others nor reaches the code that emits;
 * what it threw, or its promise rejected with, goes to `onListenerError`.
 */
export class Emitter<Events extends { [K in keyof Events]: unknown }> {
  readonly #listeners = new Map<keyof Events, Array<(event: never) => void>>();
  readonly #names: readonly string[] | undefined;
  readonly #onListenerError: (error: unknown, event: keyof Events) => void;

  /** `names`: all there are, so that a mistyped one is told. */
  constructor(
    onListenerError: (error: unknown, event: keyof Events) => void = () => {},
    names?: readonly (keyof Events & string)[],
  ) {
    this.#names = names;
    this.#onListenerError = onListenerError;
  }

  /** Throws `TypeError` for a name that is none, or a listener that is no function. */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): Unsubscribe {
    const text = String(name);
    if (this.#names?.includes(text) === false) {
      throw new TypeError(`there is no event ${JSON.stringify(text)}${didYouMean(text, this.#names)}`);
    }
    if (typeof listener !== "function") {
      throw new TypeError(`${text}: expected a listener, got ${describeValue(listener)}`);
    }
    // Copied on change, so that emitting walks a list nobody alters.
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener as (event: never) => void]);
    let subscribed = true;
    return () => {
      if (!subscribed) return;
      subscribed = false;
      const rest = [...(this.#listeners.get(name) ?? [])];
      rest.splice(rest.indexOf(listener as (event: never) => void), 1);
      if (rest.length === 0) this.#listeners.delete(name);
      else this.#listeners.set(name, rest);
    };
  }

  /** Lets a hot path skip building an event that nobody hears. */
  has(name: keyof Events): boolean {
    return this.#listeners.has(name);
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        // A function that returns nothing, says its type, but it may be an async one.
        const returned: unknown = listener(event as never);
        if (returned !== undefined) watchReturned(returned, (error) => this.#onListenerError(error, name));
      } catch (error) {
        this.#onListenerError(error, name);
      }
    }
  }
}
