import type { Metadata } from "../../base/metadata.js";
import { messages } from "../../error/messages.js";
import type { ErrorDetail, RpcError } from "../../error/rpc-error.js";
import type { OutgoingField } from "../http2/wire/hpack-encoder.js";
import { appendMetadata, executedField } from "./metadata-fields.js";
import { encodeStatusDetails } from "./status-details.js";
import { encodeStatusMessage } from "./status-message.js";

/** Texts and details that together come to more are left out: a client refuses header lists above its limit, 8 KiB as a rule. */
const statusMaxBytes = 16 * 1024;
const shortMessageMax = 1024;

/** The fields that report a failure to a client. `trailers`: the handler's own. */
export function failureFields(error: RpcError, trailers: Metadata | undefined): OutgoingField[] {
  const fields: OutgoingField[] = [{ name: "grpc-status", value: String(error.code), indexing: "table" }];
  const text = String(error.rawMessage);
  const details = sendable(error.details);
  const encoded = encodeStatusMessage(text);
  const packed =
    details !== undefined && details.length > 0 ? encodeStatusDetails(error.code, text, details) : "";
  if (details === undefined || encoded.length + packed.length > statusMaxBytes) {
    const why =
      details === undefined ? messages.detailsUnencodable : messages.grpcStatusTooLarge(statusMaxBytes);
    const short = messages.withoutDetails(text.slice(0, shortMessageMax), why);
    fields.push({ name: "grpc-message", value: encodeStatusMessage(short) });
  } else {
    if (encoded !== "") fields.push({ name: "grpc-message", value: encoded });
    if (packed !== "") fields.push({ name: "grpc-status-details-bin", value: packed });
  }
  if (error.executed !== "maybe")
    fields.push({ name: executedField, value: error.executed, indexing: "table" });
  if (trailers !== undefined) appendMetadata(fields, trailers);
  return fields;
}

/** Undefined when the handler has put invalid values into them. */
function sendable(details: unknown): readonly ErrorDetail[] | undefined {
  if (!Array.isArray(details)) return [];
  const good = details.every((one) => typeof one?.type === "string" && one.value instanceof Uint8Array);
  return good ? details : undefined;
}
