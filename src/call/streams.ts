import type { Metadata } from "../base/metadata.js";

/**
 * Messages to send, as a caller of a client stream or the handler of a server stream gives them. A message and the Buffers in it must stay
 * as they are until the next one is asked for.
 */
export type MessageSource<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Messages that arrive, in order, none twice. It can be iterated once; leaving the loop (`break`, a throw) cancels the call.
 * A stream that nobody reads makes its producer wait: at most a window of messages is held here.
 */
export interface IncomingStream<T> extends AsyncIterable<T> {
  /** Ends the call. Messages that arrived and were not read are dropped. */
  cancel(reason?: unknown): void;
  /** The initial metadata. Rejects with `RpcError` when the call fails before them. */
  readonly metadata: Promise<Metadata>;
  /** The trailers. Rejects with `RpcError` when the call fails. */
  readonly trailers: Promise<Metadata>;
}
