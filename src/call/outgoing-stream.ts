import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";

class Written<T> {
  readonly message: T;
  readonly promise: Promise<void>;
  resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(message: T) {
    this.message = message;
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
  }

  /** A program that does not await it gets the error from the call. */
  reject(error: unknown): void {
    this.promise.catch(() => {});
    this.#reject(error);
  }
}

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

const done = { done: true, value: undefined } as const;

/**
 * A source of messages for programs that push them: pass it to a stub, or return it from a handler.
 *
 *     const chunks = new OutgoingStream<Chunk>();
 *     const receipt = files.put(chunks);
 *     await chunks.write({ data });
 *     chunks.end();
 */
export class OutgoingStream<T> implements AsyncIterable<T> {
  readonly #written: Array<Written<T>> = [];
  readonly #waiting: Array<Waiting<T>> = [];
  /** The message the call took last; taking the next one means that this one is no longer needed. */
  #taken: Written<T> | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  /** Why nothing more can be written. */
  #closed: RpcError | undefined;
  #iterated = false;

  /**
   * Resolves when the message has been sent and there is room for another: a program that awaits it writes no faster than the other side reads.
   * Until then the message and the Buffers in it must stay as they are. Rejects with `RpcError` when the call has ended; throws `Error`
   * after `end` or `fail`.
   */
  write(message: T): Promise<void> {
    if (this.#ended) throw new Error(messages.writeAfterEnd);
    const written = new Written(message);
    if (this.#closed !== undefined) written.reject(this.#closed);
    else {
      this.#written.push(written);
      if (this.#waiting.length > 0) this.#serve();
    }
    return written.promise;
  }

  /** Ends the stream. Does nothing if it has already ended. */
  end(): void {
    this.#ended = true;
    this.#serve();
  }

  /** Ends the call: the caller's fails with `error` as its cause, a handler's as if it had thrown it. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure = { error };
    this.end();
  }

  /** For the call. Throws `Error` the second time: a stream belongs to one call. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    if (this.#iterated) throw new Error(messages.streamIteratedTwice("an OutgoingStream"));
    this.#iterated = true;
    return {
      next: () => {
        this.#sent();
        if (this.#waiting.length === 0 && this.#written.length > 0) {
          return Promise.resolve({ done: false, value: this.#take().message });
        }
        return new Promise((resolve, reject) => {
          this.#waiting.push({ resolve, reject });
          this.#serve();
        });
      },
      return: () => {
        this.#close();
        return Promise.resolve(done);
      },
    };
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#written.length > 0) {
      // Other writes did not wait for this one.
      this.#sent();
      const { message } = this.#take();
      this.#waiting.shift()?.resolve({ done: false, value: message });
    }
    if (!this.#ended && this.#closed === undefined) return;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure === undefined) resolve(done);
      else reject(failure.error);
    }
  }

  #take(): Written<T> {
    this.#taken = this.#written.shift() as Written<T>;
    return this.#taken;
  }

  #sent(): void {
    this.#taken?.resolve();
    this.#taken = undefined;
  }

  /** The call has ended. */
  #close(): void {
    if (this.#closed !== undefined) return;
    this.#closed = new RpcError(Status.CANCELLED, messages.writeAfterCall);
    this.#taken?.reject(this.#closed);
    this.#taken = undefined;
    for (const written of this.#written.splice(0)) written.reject(this.#closed);
    this.#serve();
  }
}
