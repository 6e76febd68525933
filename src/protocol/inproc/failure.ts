import { Metadata } from "../../base/metadata.js";
import { messages } from "../../error/messages.js";
import { type ErrorDetail, RpcError, type RpcErrorOptions } from "../../error/rpc-error.js";
import { copyMetadata, metadataBytes } from "./copy.js";

/** A text longer than this is cut where details and metadata had to be left out. */
const cutTextChars = 1024;

/** A handler's failure as its caller sees it: a copy with only what a connection would carry. */
export function copyFailure(
  error: RpcError,
  replyMetadata: Metadata | undefined,
  trailers: Metadata | undefined,
  headerMaxBytes: number,
): RpcError {
  const text = String(error.rawMessage);
  const { code, executed } = error;
  const metadata = error.metadata ?? replyMetadata;
  const details: readonly ErrorDetail[] = Array.isArray(error.details) ? error.details : [];
  const leftOut = whyNotSendable(text, metadata, trailers, details, headerMaxBytes);
  if (leftOut !== undefined) {
    return new RpcError(code, messages.withoutDetails(text.slice(0, cutTextChars), leftOut), { executed });
  }
  const options: RpcErrorOptions = { executed };
  if (details.length > 0)
    options.details = details.map(({ type, value }) => ({ type, value: Buffer.from(value) }));
  const [copiedMetadata, copiedTrailers] = [copyMetadata(metadata), copyMetadata(trailers)];
  if (copiedMetadata !== undefined) options.metadata = copiedMetadata;
  if (copiedTrailers !== undefined) options.trailers = copiedTrailers;
  return new RpcError(code, text, options);
}

/** The handler created the error, so its fields may hold anything. */
function whyNotSendable(
  text: string,
  metadata: Metadata | undefined,
  trailers: Metadata | undefined,
  details: readonly ErrorDetail[],
  headerMaxBytes: number,
): string | undefined {
  if (metadata !== undefined && !(metadata instanceof Metadata)) return messages.detailsUnencodable;
  let bytes = Buffer.byteLength(text) + metadataBytes(metadata) + metadataBytes(trailers);
  for (const one of details) {
    if (typeof one?.type !== "string" || !(one.value instanceof Uint8Array))
      return messages.detailsUnencodable;
    bytes += one.type.length + one.value.length;
  }
  return bytes > headerMaxBytes ? messages.detailsTooLarge : undefined;
}
