import { fromJsonText, toJsonText } from "../../descriptor/json.js";
import type { MessageType } from "../../protobuf/types.js";

/** How the messages of a call are encoded. */
export type MessageFormat = "proto" | "json";

/** The format that a gRPC content type names; undefined for a content type that is not gRPC, or a format unknown here. */
export function formatOf(contentType: string): MessageFormat | undefined {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
  if (type === "application/grpc" || type === "application/grpc+proto") return "proto";
  return type === "application/grpc+json" ? "json" : undefined;
}

export function isGrpc(contentType: string): boolean {
  return /^application\/grpc(?:[+;]|$)/i.test(contentType);
}

const jsonTypes = new WeakMap<MessageType, MessageType>();

/** The same messages as proto3 JSON. */
function jsonType(type: MessageType): MessageType {
  let found = jsonTypes.get(type);
  if (found === undefined) {
    found = {
      typeName: type.typeName,
      create: (input) => type.create(input),
      encode: (message, writer) => {
        writer.raw(Buffer.from(toJsonText(type, message), "utf8"));
      },
      decode: (reader, end) => {
        const text = reader.buf.toString("utf8", reader.pos, end);
        reader.pos = end;
        return fromJsonText(type, text, { ignoreUnknown: true });
      },
    };
    jsonTypes.set(type, found);
  }
  return found;
}

/** What encodes and decodes messages of `type` in `format`. */
export function typeIn(format: MessageFormat, type: MessageType): MessageType {
  return format === "proto" ? type : jsonType(type);
}
