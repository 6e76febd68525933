import type { Metadata, MetadataInit } from "../base/metadata.js";

/** What a caller may say of one call. */
export interface CallOptions {
  /**
   * Time for the whole call, all attempts and waiting included, ms. Default: the channel's (`calltimeout` of the conf,
   * 5000). `Infinity` asks for none; <= 0 fails at once. Inside a handler the rest of its own deadline is the most a
   * nested call gets.
   */
  timeoutMs?: number;
  /** Aborting cancels the call here and at the provider. */
  signal?: AbortSignal;
  /** Sent with the request. */
  metadata?: MetadataInit;
  /** Given the metadata of the reply, just before the promise settles; not called when there is none. */
  onMetadata?: (metadata: Metadata) => void;
  /** Wait for an endpoint, up to the deadline, instead of failing UNAVAILABLE when all are down. Default false. */
  waitForReady?: boolean;
  /** Sent along for a provider that wants to notice the same request twice. */
  idempotencyKey?: string;
}
