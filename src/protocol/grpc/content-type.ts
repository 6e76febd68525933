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

/** Most programs never use JSON here, so its code is loaded for the first caller that does. */
let json: typeof import("../../descriptor/json.js") | undefined;

export function isLoaded(format: MessageFormat): boolean {
  return format === "proto" || json !== undefined;
}

export async function loadJson(): Promise<void> {
  json ??= await import("../../descriptor/json.js");
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
        writer.raw(Buffer.from(loaded().toJsonText(type, message), "utf8"));
      },
      decode: (reader, end) => {
        const text = reader.buf.toString("utf8", reader.pos, end);
        reader.pos = end;
        return loaded().fromJsonText(type, text, { ignoreUnknown: true });
      },
    };
    jsonTypes.set(type, found);
  }
  return found;
}

function loaded(): typeof import("../../descriptor/json.js") {
  if (json === undefined) throw new Error("a call in JSON began before JSON was loaded");
  return json;
}

/** What encodes and decodes messages of `type` in `format`. */
export function typeIn(format: MessageFormat, type: MessageType): MessageType {
  return format === "proto" ? type : jsonType(type);
}
