import type { Metadata, MetadataInit } from "../base/metadata.js";
import { didYouMean } from "../base/nearest.js";
import { describeValue } from "../base/options.js";
import { messages } from "../error/messages.js";

/** The options of one call. */
export interface CallOptions {
  /**
   * Time for the whole call, all attempts and waiting included, ms. Default: the channel's (`calltimeout` of the conf,
   * 5000); none where the provider streams. `Infinity` asks for none; <= 0 fails at once. Inside a handler, nested calls are limited
   * to the time left of its own deadline.
   */
  timeoutMs?: number | undefined;
  /**
   * Of a stream: time without a message in either direction after which the call fails DEADLINE_EXCEEDED, ms. Default `Infinity`: none.
   */
  idleTimeoutMs?: number | undefined;
  /** Aborting cancels the call here and at the provider. */
  signal?: AbortSignal | undefined;
  /** Sent with the request. */
  metadata?: MetadataInit | undefined;
  /** Given the metadata of the reply, just before the promise settles; not called when there is none. */
  onMetadata?: ((metadata: Metadata) => void) | undefined;
  /** Wait for an endpoint, up to the deadline, instead of failing UNAVAILABLE when all are down. Default false. */
  waitForReady?: boolean | undefined;
  /** Sent with the request, so that a provider can detect a repeated request. */
  idempotencyKey?: string | undefined;
}

/** All options; the compiler checks that none is missing. Other names are refused. */
const known: Readonly<Record<keyof CallOptions, true>> = {
  timeoutMs: true,
  idleTimeoutMs: true,
  signal: true,
  metadata: true,
  onMetadata: true,
  waitForReady: true,
  idempotencyKey: true,
};
const names: ReadonlySet<string> = new Set(Object.keys(known));

/**
 * What is wrong with the options of a call, but for its metadata; undefined when nothing is. Not `checkOptions`, since
 * each call comes here: it copies nothing.
 */
export function wrongCallOption(options: CallOptions): string | undefined {
  if (typeof options !== "object") {
    return messages.notCallOptions(describeValue(options));
  }
  for (const name in options) {
    if (!names.has(name)) {
      return messages.unknownCallOption(JSON.stringify(name), didYouMean(name, [...names]));
    }
  }
  const { timeoutMs, idleTimeoutMs, signal, onMetadata, waitForReady, idempotencyKey } = options;
  if (
    timeoutMs !== undefined &&
    timeoutMs !== null &&
    (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs))
  ) {
    return messages.timeoutNotMilliseconds(describeValue(timeoutMs));
  }
  if (idleTimeoutMs !== undefined && !(typeof idleTimeoutMs === "number" && idleTimeoutMs > 0)) {
    return messages.idleTimeoutNotMilliseconds(describeValue(idleTimeoutMs));
  }
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    return messages.signalNotAbortSignal(describeValue(signal));
  }
  if (onMetadata !== undefined && typeof onMetadata !== "function") {
    return messages.onMetadataNotFunction(describeValue(onMetadata));
  }
  if (waitForReady !== undefined && typeof waitForReady !== "boolean") {
    return messages.waitForReadyNotBoolean(describeValue(waitForReady));
  }
  if (idempotencyKey !== undefined && typeof idempotencyKey !== "string") {
    return messages.idempotencyKeyNotText(describeValue(idempotencyKey));
  }
  return undefined;
}
