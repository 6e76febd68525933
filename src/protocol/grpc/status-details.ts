import type { ErrorDetail } from "../../error/rpc-error.js";
import { Reader } from "../../protobuf/reader.js";
import { Writer } from "../../protobuf/writer.js";

/** What stands in front of a type's name in `google.protobuf.Any`. */
const typePrefix = "type.googleapis.com/";

/** `grpc-status-details-bin`: a `google.rpc.Status` in base64. */
export function encodeStatusDetails(code: number, text: string, details: readonly ErrorDetail[]): string {
  const writer = new Writer();
  writer.uint32(0x08).int32(code);
  if (text !== "") writer.uint32(0x12).string(text);
  for (const { type, value } of details) {
    writer.uint32(0x1a);
    const mark = writer.begin();
    writer.uint32(0x0a).string(type.includes("/") ? type : typePrefix + type);
    if (value.length > 0) writer.uint32(0x12).bytes(value);
    writer.end(mark);
  }
  return writer.view().toString("base64").replace(/=+$/, "");
}

/** The details of one; undefined for what is no such message. Their types are as our providers name them. */
export function decodeStatusDetails(value: string): ErrorDetail[] | undefined {
  const bytes = Buffer.from(value, "base64");
  const details: ErrorDetail[] = [];
  try {
    const reader = new Reader(bytes);
    while (reader.pos < bytes.length) {
      const tag = reader.uint32();
      if (tag === 0x1a) details.push(readAny(reader));
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  return details;
}

function readAny(reader: Reader): ErrorDetail {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a detail is longer than its message");
  let type = "";
  let value: Uint8Array = new Uint8Array(0);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) type = reader.string();
    else if (tag === 0x12) value = Buffer.from(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return { type: type.startsWith(typePrefix) ? type.slice(typePrefix.length) : type, value };
}
