import type { Metadata } from "../base/metadata.js";
import type { RpcController } from "../call/controller.js";
import type { CallReply } from "../call/interceptor.js";
import type { MessageQueue } from "../call/message-queue.js";
import type { IncomingStream } from "../call/streams.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { StreamCall } from "./stream-call.js";

/** The replies of a call that streams them. */
export class Replies<T> implements IncomingStream<T> {
  readonly #call: StreamCall;
  #trailers: Promise<Metadata> | undefined;

  constructor(call: StreamCall) {
    this.#call = call;
  }

  get metadata(): Promise<Metadata> {
    return this.#call.initialMetadata;
  }

  get trailers(): Promise<Metadata> {
    if (this.#trailers === undefined) {
      this.#trailers = this.#call.promise.then(() => this.#call.trailers);
      this.#trailers.catch(() => {});
    }
    return this.#trailers;
  }

  cancel(reason?: unknown): void {
    this.#call.cancelByReader(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return (this.#call.replies as MessageQueue<T>)[Symbol.asyncIterator]();
  }
}

/** A reply of a call that streams them, as interceptors see it. */
export class StreamReply implements CallReply {
  message: unknown;
  readonly metadata: Metadata;
  /** Filled when the call ends. */
  readonly trailers: Metadata;

  constructor(call: StreamCall, metadata: Metadata) {
    this.message = new Replies(call);
    this.metadata = metadata;
    this.trailers = call.trailers;
  }
}

/** A stream whose replies come from a promise: of interceptors, or one that rejects. */
export class LaterReplies<T> implements IncomingStream<T> {
  readonly metadata: Promise<Metadata>;
  readonly trailers: Promise<Metadata>;
  readonly #reply: Promise<CallReply>;
  readonly #cancel: (reason: unknown) => void;
  #inner: Promise<AsyncIterator<T>> | undefined;
  #iterated = false;
  #ended!: (trailers: Promise<Metadata>) => void;

  /** `cancel` ends the call, also before there is a reply. */
  constructor(reply: Promise<CallReply>, cancel: (reason: unknown) => void) {
    this.#reply = reply;
    this.#cancel = cancel;
    this.metadata = reply.then(({ metadata }) => metadata);
    this.trailers = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.metadata.catch((error) => this.#fail(error));
    this.trailers.catch(() => {});
    reply.then(
      ({ message }) => {
        if (message instanceof Replies) this.#ended(message.trailers);
      },
      () => {},
    );
  }

  #fail(error: unknown): void {
    const failed = Promise.reject(error);
    failed.catch(() => {});
    this.#ended(failed);
  }

  cancel(reason?: unknown): void {
    this.#cancel(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    if (this.#iterated) throw new Error(messages.streamIteratedTwice("a stream of replies"));
    this.#iterated = true;
    return {
      next: async () => {
        this.#inner ??= this.#open();
        try {
          const result = await (await this.#inner).next();
          if (result.done !== true) return result;
          this.#ended(this.#reply.then(({ trailers }) => trailers));
          return { done: true, value: undefined };
        } catch (error) {
          this.#fail(error);
          throw error;
        }
      },
      return: async () => {
        // Not waited for: an interceptor's generator may be blocked.
        this.#inner?.then((inner) => inner.return?.()).catch(() => {});
        this.#cancel(new RpcError(Status.CANCELLED, messages.readerLeft));
        return { done: true, value: undefined };
      },
    };
  }

  async #open(): Promise<AsyncIterator<T>> {
    const { message } = await this.#reply;
    const source = message as AsyncIterable<T> & Iterable<T>;
    if (source[Symbol.asyncIterator] !== undefined) return source[Symbol.asyncIterator]();
    return (async function* () {
      yield* source;
    })();
  }
}

/** The replies of a call with a controller, which gets the failure; iterating does not throw. */
export class ToldByController<T> implements IncomingStream<T> {
  readonly #stream: IncomingStream<T>;

  constructor(stream: IncomingStream<T>, controller: RpcController) {
    this.#stream = stream;
    stream.trailers.then(
      () => controller.finish(),
      (error) => controller.finish(RpcError.from(error)),
    );
  }

  get metadata(): Promise<Metadata> {
    return this.#stream.metadata;
  }

  get trailers(): Promise<Metadata> {
    return this.#stream.trailers;
  }

  cancel(reason?: unknown): void {
    this.#stream.cancel(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    const inner = this.#stream[Symbol.asyncIterator]();
    const ended = { done: true, value: undefined } as const;
    return {
      next: () =>
        inner.next().then(
          (result) => (result.done === true ? ended : result),
          // The trailers set the failure on the controller; they have arrived when this is read.
          () =>
            this.#stream.trailers.then(
              () => ended,
              () => ended,
            ),
        ),
      return: async () => {
        await inner.return?.();
        return ended;
      },
    };
  }
}
