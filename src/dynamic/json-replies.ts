import type { Metadata } from "../base/metadata.js";
import type { IncomingStream } from "../call/streams.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { JsonValue } from "../protobuf/well-known.js";

const done = { done: true, value: undefined } as const;

/** The replies of a call that begins only when its provider has told what its messages are. */
export class JsonReplies implements IncomingStream<JsonValue> {
  readonly metadata: Promise<Metadata>;
  readonly trailers: Promise<Metadata>;
  readonly #opening: Promise<IncomingStream<JsonValue>>;
  readonly #cancelOpening: (reason: unknown) => void;
  #opened: IncomingStream<JsonValue> | undefined;
  #inner: Promise<AsyncIterator<JsonValue>> | undefined;

  /** `cancelOpening` ends the call also before `opening` has settled. */
  constructor(opening: Promise<IncomingStream<JsonValue>>, cancelOpening: (reason: unknown) => void) {
    this.#opening = opening;
    this.#cancelOpening = cancelOpening;
    this.metadata = opening.then((stream) => stream.metadata);
    this.trailers = opening.then((stream) => {
      this.#opened = stream;
      return stream.trailers;
    });
    // Nobody has to ask for them.
    this.metadata.catch(() => {});
    this.trailers.catch(() => {});
  }

  cancel(reason?: unknown): void {
    if (this.#opened === undefined) this.#cancelOpening(reason);
    else this.#opened.cancel(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<JsonValue, undefined> {
    if (this.#inner !== undefined) throw new Error(messages.streamIteratedTwice("a stream of replies"));
    const inner = this.#opening.then((stream) => stream[Symbol.asyncIterator]());
    // The loop is told by its first `next`.
    inner.catch(() => {});
    this.#inner = inner;
    return {
      next: async () => {
        const result = await (await inner).next();
        return result.done === true ? done : result;
      },
      return: async () => {
        if (this.#opened === undefined) {
          this.#cancelOpening(new RpcError(Status.CANCELLED, messages.readerLeft));
        } else await (await inner).return?.();
        return done;
      },
    };
  }
}
