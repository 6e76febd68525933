import { describeValue } from "../base/options.js";
import { messages } from "../error/messages.js";
import { streamTurn } from "./stream-turn.js";
import type { MessageSource } from "./streams.js";

/** Sends the messages of one stream. */
export interface MessageSender {
  /** A message may be sent now. */
  readonly hasRoom: boolean;
  /** Resolves when there may be room again, or when the stream has ended. */
  room(): Promise<void>;
  /** Sends a message, for which there is room; returns its cost in bytes. Throws `RpcError` for one that cannot be sent. */
  send(message: unknown): number;
  /** Resolves when every message has been sent completely, or when the stream has ended. */
  whole(): Promise<void>;
}

export type PumpOutcome =
  | { readonly kind: "ended" | "stopped" }
  /** The source threw, or gave a message that cannot be sent. */
  | { readonly kind: "failed"; readonly thrown: unknown; readonly bySource: boolean };

type SourceIterator = Iterator<unknown> | AsyncIterator<unknown>;

/** Why a value is not a source of messages; undefined when it is one. Text is refused: iterating it would give its letters. */
export function wrongSource(source: unknown): string | undefined {
  if (typeof source === "object" && source !== null) {
    if (Symbol.asyncIterator in source || Symbol.iterator in source) return undefined;
  }
  return messages.notASource(describeValue(source));
}

/** Takes messages from a source while there is room to send them. */
export class MessagePump {
  readonly #source: MessageSource<unknown>;
  #iterator: SourceIterator | undefined;
  #stopped = false;
  /** Settles when the source has finished. */
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
   * The call has ended. The source is closed but the call does not wait for it: a source blocked in an `await` finishes only when
   * that settles. Resolves then.
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
      // The call has already ended, so there is nobody to report it to.
    }
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
