import type protobuf from "protobufjs/light.js";
import type { Reader } from "../protobuf/reader.js";
import type { Idempotency, MessageType, MethodDefinition, MethodKind } from "../protobuf/types.js";
import type { JsonValue } from "../protobuf/well-known.js";
import type { Writer } from "../protobuf/writer.js";
import { type BytesForm, jsonFromMessage, messageFromJson } from "./json-mapping.js";
import { type LoadedFiles, loadDescriptors } from "./load.js";

// Loaded on the first generic call, never by `import "mprpc"`: it brings protobufjs's reflection with it.

/** The services of some .proto files, ready to be called with JSON. */
export class DescribedServices {
  readonly #files: LoadedFiles;

  /** `descriptors`: a FileDescriptorProto a .proto file, in any order. Throws `TypeError` for what is none. */
  constructor(descriptors: readonly Uint8Array[]) {
    this.#files = loadDescriptors(descriptors);
  }

  /** The methods of a service, in the .proto's order; `undefined` when the descriptors do not have it. */
  methodsOf(service: string, bytes: BytesForm): MethodDefinition[] | undefined {
    return this.#files.service(service)?.methodsArray.map((method): MethodDefinition => {
      method.resolve();
      return {
        kind: kindOf(method),
        service,
        name: method.name,
        localName: localName(method.name),
        fullName: `${service}.${method.name}`,
        input: jsonType(this.#files, method.resolvedRequestType as protobuf.Type, bytes),
        output: jsonType(this.#files, method.resolvedResponseType as protobuf.Type, bytes),
        idempotency: idempotencyOf(method),
      };
    });
  }
}

/** As generated stubs call it: `GetFriendsList` is `getFriendsList`. */
function localName(name: string): string {
  const camel = name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
  return camel.slice(0, 1).toLowerCase() + camel.slice(1);
}

function kindOf({ requestStream, responseStream }: protobuf.Method): MethodKind {
  if (requestStream === true) return responseStream === true ? "bidi_streaming" : "client_streaming";
  return responseStream === true ? "server_streaming" : "unary";
}

function idempotencyOf(method: protobuf.Method): Idempotency {
  const level: unknown = method.options?.idempotency_level;
  return level === "NO_SIDE_EFFECTS" ? "no_side_effects" : level === "IDEMPOTENT" ? "idempotent" : "unknown";
}

/** A message type whose messages are JSON values. */
function jsonType(
  files: LoadedFiles,
  type: protobuf.Type,
  bytes: BytesForm,
): MessageType<JsonValue, JsonValue> {
  const writing = { bytes, filled: true, protoNames: false, enumNumbers: false };
  return {
    typeName: type.fullName.slice(1),
    create: (input) => input ?? {},
    encode(json: JsonValue, writer: Writer): void {
      const message = messageFromJson(files, type, json, { bytes, ignoreUnknown: false });
      writer.raw(type.encode(message).finish());
    },
    decode(reader: Reader, end: number): JsonValue {
      const message = type.decode(reader.buf.subarray(reader.pos, end));
      reader.pos = end;
      return jsonFromMessage(files, type, message, writing);
    },
  };
}
