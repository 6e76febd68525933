import type { Clock } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import { encodeMessage } from "../protobuf/types.js";
import type { EventRecord } from "./driver.js";
import { header, isReservedKey, pushMetadata, pushText } from "./headers.js";
import type { OutgoingEvent } from "./interceptor.js";

/** What a message is published with, beside what interceptors see. */
export interface Envelope {
  readonly id: string | undefined;
  /** `Infinity`: it never expires. */
  readonly ttlMs: number;
}

export interface RecordLimits {
  readonly bodyMaxBytes: number;
  readonly headerMaxBytes: number;
}

function refused(code: StatusCode, text: string, cause?: unknown): RpcError {
  return new RpcError(code, text, { executed: "never", cause });
}

/** A message as brokers keep it. Throws RpcError for one that cannot be encoded, or is beyond the limits. */
export function recordOf(
  { topic, message, key, metadata, id, ttlMs }: OutgoingEvent & Envelope,
  { bodyMaxBytes, headerMaxBytes }: RecordLimits,
  clock: Clock,
): EventRecord {
  const { name } = topic;
  let payload: Buffer;
  try {
    payload = encodeMessage(topic.message, message);
  } catch (error) {
    throw refused(Status.INVALID_ARGUMENT, messages.eventCannotBeEncoded(name, textOf(error)), error);
  }
  if (payload.length > bodyMaxBytes) {
    throw refused(Status.RESOURCE_EXHAUSTED, messages.eventTooLarge(name, payload.length, bodyMaxBytes));
  }
  const headers: string[] = [];
  if (id !== undefined) pushText(headers, header.id, id);
  if (key !== undefined) pushText(headers, header.key, key);
  if (ttlMs !== Infinity) headers.push(header.expires, String(clock.wallNow() + ttlMs));
  if (metadata.size > 0) {
    for (const [one] of metadata) {
      if (isReservedKey(one)) throw refused(Status.INVALID_ARGUMENT, messages.metadataKeyReserved(one));
    }
    pushMetadata(headers, metadata);
  }
  const headerBytes = headers.reduce((sum, { length }) => sum + length + 2, 0);
  if (headerBytes > headerMaxBytes) {
    throw refused(Status.RESOURCE_EXHAUSTED, messages.eventHeaderTooLarge(name, headerBytes, headerMaxBytes));
  }
  return { payload, headers };
}
