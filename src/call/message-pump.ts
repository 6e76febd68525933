import { describeValue } from "../base/options.js";
import { messages } from "../error/messages.js";
import { streamTurn } from "./stream-turn.js";
import type { MessageSource } from "./streams.js";

/** Sends the messages of one stream. */
export interface MessageSender {
  /** A message may be sent now. */
  readonly hasRoom: boolean;
  /** Resolves when there may be room again, or never will be. */
  room(): Promise<void>;
  /** Sends a message, for which there is room; what it costs, bytes. Throws `RpcError` for one that cannot be sent. */
  send(message: unknown): number;
  /** Resolves when no part of a message is left to be sent, or never will be. */
  whole(): Promise<void>;
}

export type PumpOutcome =
  | { readonly kind: "ended" | "stopped" }
  /** The source threw, or gave a message that cannot be sent. */
  | { readonly kind: "failed"; readonly thrown: unknown; readonly bySource: boolean };

type SourceIterator = Iterator<unknown> | AsyncIterator<unknown>;

/** What is wrong with a source of messages; undefined when it is one. Text would be taken for a list of its letters. */
export function wrongSource(source: unknown): string | undefined {
  if (typeof source === "object" && source !== null) {
    if (Symbol.asyncIterator in source || Symbol.iterator in source) return undefined;
  }
  return messages.notASource(describeValue(source));
}

/** Takes messages from a source as there is room to send them. */
export class MessagePump {
  readonly #source: MessageSource<unknown>;
  #iterator: SourceIterator | undefined;
  #stopped = false;
  /** Settles when the source has come to rest. */
  #running: Promise<PumpOutcome> | undefined;
  /** A message was taken from it. */
  consumed = false;

  constructor(source: MessageSource<unknown>) {
    this.#source = source;
  }

  /** Never rejects. */
  run(sender: MessageSender): Promise<PumpOutcome> {
    this.#running = this.#run(sender);
    return this.#running;
  }

  async #run(sender: MessageSender): Promise<PumpOutcome> {
    let bySource = true;
    try {
      const iterator = this.#open();
      for (;;) {
        while (!sender.hasRoom && !this.#stopped) await sender.room();
        if (this.#stopped) return { kind: "stopped" };
        this.consumed = true;
        const given = iterator.next();
        const result = isPromise(given) ? await given : given;
        if (this.#stopped) return { kind: "stopped" };
        if (result.done === true) {
          this.#iterator = undefined;
          break;
        }
        // A list of promises is a source too, as it is for `for await`.
        const value: unknown = isPromise(result.value) ? await result.value : result.value;
        while (!sender.hasRoom && !this.#stopped) await sender.room();
        if (this.#stopped) return { kind: "stopped" };
        bySource = false;
        if (streamTurn.spent(sender.send(value))) await streamTurn.wait();
        bySource = true;
      }
    } catch (thrown) {
      if (this.#stopped) return { kind: "stopped" };
      if (bySource) this.#iterator = undefined;
      else void this.#close();
      await sender.whole();
      return { kind: "failed", thrown, bySource };
    }
    await sender.whole();
    return { kind: "ended" };
  }

  #open(): SourceIterator {
    const source = this.#source as AsyncIterable<unknown> & Iterable<unknown>;
    const open = source[Symbol.asyncIterator] ?? source[Symbol.iterator];
    this.#iterator = open.call(source);
    return this.#iterator;
  }

  /**
   * The call has ended. The source is told, and not waited for: one that is blocked in an `await` comes to rest only when that
   * settles. Resolves then.
   */
  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true;
      await this.#close();
    }
    await this.#running;
  }

  async #close(): Promise<void> {
    try {
      if (this.#iterator === undefined && this.#running === undefined) this.#open();
      await this.#iterator?.return?.();
    } catch {
      // Its call has ended already, and nobody is left to be told.
    }
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
