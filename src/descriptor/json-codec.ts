import protojson from "protobufjs/ext/protojson.js";
import protobuf from "protobufjs/light.js";
import { didYouMean } from "../base/nearest.js";
import { textOf as reasonOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import type { Reader } from "../protobuf/reader.js";
import type { Idempotency, MessageType, MethodDefinition, MethodKind } from "../protobuf/types.js";
import type { JsonValue } from "../protobuf/well-known.js";
import type { Writer } from "../protobuf/writer.js";
import { copyOf, exactNumber, valueNumbers } from "./json-numbers.js";

// Loaded on the first generic call, never by `import "mprpc"`: it brings protobufjs's reflection with it.

/** How `bytes` fields stand in JSON. */
export type BytesForm = "base64" | "text";

/** JSON that is not the message it should be. */
export class JsonMappingError extends TypeError {
  override readonly name = "JsonMappingError";
}

/** As deep as protobufjs itself goes. */
const nestingMax = 100;
/** What a provider describes is code to be made by protobufjs: only names a .proto can hold get that far. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The services of some .proto files, ready to be called with JSON. */
export class DescribedServices {
  readonly #root = new protobuf.Root();

  /** `descriptors`: protobufjs JSON, one a .proto file. Throws `TypeError` for what is none. */
  constructor(descriptors: readonly string[]) {
    for (const text of descriptors) {
      const descriptor: unknown = JSON.parse(text);
      const nested = isRecord(descriptor) ? descriptor.nested : undefined;
      if (!isRecord(nested)) throw new TypeError(messages.descriptorNotJson);
      checkNames(nested, 0);
      this.#root.addJSON(nested as Record<string, protobuf.AnyNestedObject>);
    }
    this.#root.resolveAll();
  }

  /** The methods of a service, in the .proto's order; `undefined` when the descriptors do not have it. */
  methodsOf(service: string, bytes: BytesForm): MethodDefinition[] | undefined {
    const found = this.#root.lookup(service, [protobuf.Service]);
    if (!(found instanceof protobuf.Service)) return undefined;
    return found.methodsArray.map((method): MethodDefinition => {
      method.resolve();
      const { resolvedRequestType: input, resolvedResponseType: output } = method;
      if (input === null || output === null)
        throw new TypeError(messages.methodWithoutMessages(`${service}.${method.name}`));
      return {
        kind: kindOf(method),
        service,
        name: method.name,
        localName: localName(method.name),
        fullName: `${service}.${method.name}`,
        input: jsonType(input, bytes),
        output: jsonType(output, bytes),
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
function jsonType(type: protobuf.Type, bytes: BytesForm): MessageType<JsonValue, JsonValue> {
  return {
    typeName: nameOf(type),
    create: (input) => input ?? {},
    encode(json: JsonValue, writer: Writer): void {
      writer.raw(type.encode(fromJson(type, json, bytes)).finish());
    },
    decode(reader: Reader, end: number): JsonValue {
      const message = type.decode(reader.buf.subarray(reader.pos, end));
      reader.pos = end;
      const json = protojson.toJson(type, message) as JsonValue;
      const convert = (value: JsonValue, field: protobuf.Field): JsonValue =>
        bytes === "text" && field.type === "bytes" ? textOf(value) : value;
      return rewrite(type, json, { convert, filled: true }, 0);
    },
  };
}

function fromJson(type: protobuf.Type, json: JsonValue, bytes: BytesForm): protobuf.Message {
  try {
    const copy = (copyOf(json) ?? null) as JsonValue;
    const bytesOf = bytes === "text" ? base64Of : checkBase64;
    const convert = (value: JsonValue, field: protobuf.Field): JsonValue =>
      field.type === "bytes" ? bytesOf(value, field) : numberOf(value, field);
    const fail = (text: string): never => {
      throw new JsonMappingError(`${nameOf(type)}: ${text}`);
    };
    const exact = isWellKnown(type)
      ? convertNumber(copy, type, fail)
      : rewrite(type, copy, { convert, filled: false }, 0);
    return protojson.fromJson(type, exact);
  } catch (error) {
    throw error instanceof JsonMappingError ? error : mappingError(type.root, reasonOf(error));
  }
}

/** protobufjs's own text, made readable: no leading dot, and the nearest name for an unknown field. */
function mappingError(root: protobuf.Root, text: string): JsonMappingError {
  const [, typeName, quoted] = /^\.(\S+): unknown field: (".*")$/s.exec(text) ?? [];
  if (typeName === undefined || quoted === undefined) return new JsonMappingError(text.replace(/^\./, ""));
  const names = root.lookupType(typeName).fieldsArray.map(({ name }) => name);
  return new JsonMappingError(
    messages.unknownJsonField(typeName, quoted, didYouMean(JSON.parse(quoted) as string, names)),
  );
}

interface Rewriting {
  /** Applied to each value that is no message of the user's. */
  convert(value: JsonValue, field: protobuf.Field): JsonValue;
  /** Fields that are not there get their default, unless their absence says something. */
  readonly filled: boolean;
}

/** Changes `json`, a message of `type`, in place. What does not fit the type is left for protobufjs to refuse. */
function rewrite(type: protobuf.Type, json: JsonValue, how: Rewriting, depth: number): JsonValue {
  if (!isRecord(json) || isWellKnown(type)) return json;
  if (depth > nestingMax) throw new JsonMappingError(messages.jsonTooDeep(nameOf(type), nestingMax));
  for (const [key, value] of Object.entries(json)) {
    const field = type.fieldsArray.find(
      ({ name, jsonName, protoName }) => key === jsonName || key === name || key === protoName,
    );
    if (field === undefined || value === null) continue;
    const one = (single: JsonValue): JsonValue => {
      const { resolvedType } = field;
      return resolvedType instanceof protobuf.Type && !isWellKnown(resolvedType)
        ? rewrite(resolvedType, single, how, depth + 1)
        : how.convert(single, field);
    };
    if (field.map && isRecord(value)) {
      for (const [mapKey, mapValue] of Object.entries(value)) setOwn(value, mapKey, one(mapValue));
    } else {
      setOwn(json, key, field.repeated && Array.isArray(value) ? value.map(one) : one(value));
    }
  }
  if (!how.filled) return json;
  for (const field of type.fieldsArray) {
    const value = defaultOf(field);
    if (value !== undefined && !Object.hasOwn(json, field.jsonName)) setOwn(json, field.jsonName, value);
  }
  return json;
}

/** `undefined` for a field whose absence is a value of its own. */
function defaultOf(field: protobuf.Field): JsonValue | undefined {
  if (field.map) return {};
  if (field.repeated) return [];
  if (field.hasPresence || field.resolvedType instanceof protobuf.Type) return undefined;
  if (field.resolvedType instanceof protobuf.Enum) {
    return isWellKnown(field.resolvedType) ? null : (field.resolvedType.valuesById[0] ?? 0);
  }
  if (field.type === "bool") return false;
  if (field.type === "string" || field.type === "bytes") return "";
  return field.type.endsWith("64") ? "0" : 0;
}

/** Well-known messages that are one value in JSON, and its type. */
const wrapped: Readonly<Record<string, string>> = {
  DoubleValue: "double",
  FloatValue: "float",
  Int64Value: "int64",
  UInt64Value: "uint64",
  Int32Value: "int32",
  UInt32Value: "uint32",
  BoolValue: "bool",
  StringValue: "string",
  BytesValue: "bytes",
};

/** A value with its number exact. Throws `JsonMappingError` that names the field. */
function numberOf(value: JsonValue, field: protobuf.Field): JsonValue {
  const fail = (text: string): never => {
    throw new JsonMappingError(`${nameOf(field)}: ${text}`);
  };
  return convertNumber(value, field.resolvedType ?? field.type, fail);
}

function convertNumber(
  value: JsonValue,
  type: protobuf.ReflectionObject | string,
  fail: (text: string) => never,
): JsonValue {
  if (typeof type === "string") return exactNumber(value, type, fail);
  if (type instanceof protobuf.Enum) return exactNumber(value, "int32", fail);
  const single = wrapped[type.name];
  return single === undefined ? valueNumbers(value, fail) : exactNumber(value, single, fail);
}

function base64Of(value: JsonValue): JsonValue {
  return typeof value === "string" ? Buffer.from(value, "utf8").toString("base64") : value;
}

function textOf(value: JsonValue): JsonValue {
  return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : value;
}

/** protobufjs takes some text that is no base64 and does not name the field where it refuses. */
function checkBase64(value: JsonValue, field: protobuf.Field): JsonValue {
  if (typeof value !== "string") return value;
  const digits = value.replace(/={1,2}$/, "");
  if (/^[A-Za-z0-9+/_-]*$/.test(digits) && digits.length % 4 !== 1) return value;
  const shown = JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  throw new JsonMappingError(messages.notBase64(nameOf(field), shown));
}

/** Also for a key like `__proto__`, which a plain assignment would not make a property. */
function setOwn(target: { [key: string]: JsonValue }, key: string, value: JsonValue): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function nameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

/** These have a JSON form of their own, which protobufjs knows. */
function isWellKnown(type: protobuf.ReflectionObject): boolean {
  return type.fullName.startsWith(".google.protobuf.");
}

function checkNames(nested: Readonly<Record<string, unknown>>, depth: number): void {
  if (depth > nestingMax) throw new TypeError(messages.descriptorTooDeep);
  for (const [name, value] of Object.entries(nested)) {
    if (!namePattern.test(name)) throw new TypeError(messages.descriptorNameInvalid(JSON.stringify(name)));
    if (!isRecord(value)) throw new TypeError(messages.descriptorEmpty(name));
    if (isRecord(value.nested)) checkNames(value.nested, depth + 1);
  }
}

function isRecord(value: unknown): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
