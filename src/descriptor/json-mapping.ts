import protojson from "protobufjs/ext/protojson.js";
import protobuf from "protobufjs/light.js";
import { didYouMean } from "../base/nearest.js";
import { textOf as reasonOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import type { JsonValue } from "../protobuf/well-known.js";
import { JsonMappingError } from "./json-error.js";
import { copyOf, exactNumber, valueNumbers } from "./json-numbers.js";
import type { LoadedFiles } from "./load.js";

/**
 * protobuf's JSON mapping, between JSON and protobufjs' messages. protobufjs does the mapping itself; what stands here walks
 * along beside it, for what it does not do: numbers that arrive exactly or not at all, texts of errors that name the
 * field, types inside Any, and the choices of how a message is written.
 */

/** How `bytes` fields stand in JSON. */
export type BytesForm = "base64" | "text";

export interface Reading {
  readonly bytes: BytesForm;
  /** Fields and enum values that the type does not have are passed over. */
  readonly ignoreUnknown: boolean;
}

export interface Writing {
  readonly bytes: BytesForm;
  /** Fields under the .proto's names. */
  readonly protoNames: boolean;
  readonly enumNumbers: boolean;
  /** Fields that are not there get their default, unless their absence says something. */
  readonly filled: boolean;
}

/** As deep as protobufjs itself goes. */
const nestingMax = 100;

/** Well-known messages that are one value in JSON, and the type of that. */
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

const anyName = "google.protobuf.Any";

/** Messages with a JSON form of their own, which protobufjs knows. */
const special: ReadonlySet<string> = new Set([
  anyName,
  ...["Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value", ...Object.keys(wrapped)].map(
    (name) => `google.protobuf.${name}`,
  ),
]);

type JsonObject = { [key: string]: JsonValue };

/** `json` is left as it was. Throws `JsonMappingError`. */
export function messageFromJson(
  files: LoadedFiles,
  type: protobuf.Type,
  json: unknown,
  how: Reading,
): protobuf.Message {
  return guarded(() => {
    const copy = (copyOf(json) ?? null) as JsonValue;
    const exact = new JsonReader(files, how).message(type, copy, nameOf(type), 0);
    return protojson.fromJson(type, exact, { ignoreUnknownFields: how.ignoreUnknown });
  });
}

/** Throws `JsonMappingError` for a message that has no form in JSON. */
export function jsonFromMessage(
  files: LoadedFiles,
  type: protobuf.Type,
  message: protobuf.Message,
  how: Writing,
): JsonValue {
  return guarded(() => {
    const json = protojson.toJson(type, message) as JsonValue;
    const asWritten = how.bytes === "base64" && !how.protoNames && !how.enumNumbers && !how.filled;
    const plain = asWritten && files.zeroIsAbsent.size === 0;
    return plain ? json : new JsonWriter(files, how).message(type, json);
  });
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof JsonMappingError) throw error;
    throw new JsonMappingError(reasonOf(error).replace(/^\./, ""), { cause: error });
  }
}

/** Makes JSON of the user's what protobufjs takes without harm; changed in place. */
class JsonReader {
  readonly #files: LoadedFiles;
  readonly #how: Reading;

  constructor(files: LoadedFiles, how: Reading) {
    this.#files = files;
    this.#how = how;
  }

  /** `owner`: what an error names. */
  message(type: protobuf.Type, json: JsonValue, owner: string, depth: number): JsonValue {
    if (depth > nestingMax) throw new JsonMappingError(messages.jsonTooDeep(nameOf(type), nestingMax));
    if (isSpecial(type)) return this.#special(type, json, owner, depth);
    if (!isRecord(json)) return json;
    const { byName, required } = fieldsOf(type);
    const given = new Set<protobuf.Field>();
    for (const [key, value] of Object.entries(json)) {
      const field = byName.get(key);
      if (field === undefined) {
        this.#refuseUnknown(type, key);
        delete json[key];
        continue;
      }
      if (given.has(field)) throw new JsonMappingError(messages.jsonKeyTwice(nameOf(field)));
      given.add(field);
      if (value === null) continue;
      const exact = this.#field(field, value, depth);
      if (this.#files.zeroIsAbsent.has(field) && isZero(exact)) delete json[key];
      else setOwn(json, key, exact);
    }
    for (const field of required) {
      if (!given.has(field)) throw new JsonMappingError(messages.jsonRequired(nameOf(field)));
    }
    return json;
  }

  #refuseUnknown(type: protobuf.Type, key: string): void {
    if (this.#how.ignoreUnknown) return;
    const names = type.fieldsArray.map(({ jsonName }) => jsonName);
    const hint = didYouMean(key, names);
    throw new JsonMappingError(messages.unknownJsonField(nameOf(type), JSON.stringify(key), hint));
  }

  #field(field: protobuf.Field, value: JsonValue, depth: number): JsonValue {
    if (field.map) {
      if (!isRecord(value)) return value;
      for (const [key, one] of Object.entries(value)) setOwn(value, key, this.#single(field, one, depth));
      return value;
    }
    if (!field.repeated || !Array.isArray(value)) return this.#single(field, value, depth);
    return value.map((one) => this.#single(field, one, depth));
  }

  #single(field: protobuf.Field, value: JsonValue, depth: number): JsonValue {
    const { resolvedType, type } = field;
    const owner = nameOf(field);
    if (resolvedType instanceof protobuf.Type) return this.message(resolvedType, value, owner, depth + 1);
    const fail = failureOf(owner);
    if (resolvedType instanceof protobuf.Enum) return exactNumber(value, "int32", fail);
    if (type !== "bytes") return exactNumber(value, type, fail);
    return this.#how.bytes === "text" ? base64Of(value) : checkBase64(value, owner);
  }

  #special(type: protobuf.Type, json: JsonValue, owner: string, depth: number): JsonValue {
    const name = nameOf(type);
    if (name === anyName) return this.#any(json, owner, depth);
    const scalar = wrapped[type.name];
    const exact =
      scalar === undefined
        ? valueNumbers(json, failureOf(owner))
        : exactNumber(json, scalar, failureOf(owner));
    // null is no value of most, and then it depends on where it stands.
    if (exact !== null) this.#checkSpecial(type, exact, owner);
    return exact;
  }

  /** protobufjs names the type that it cannot read, not the field. */
  #checkSpecial(type: protobuf.Type, json: JsonValue, owner: string): void {
    try {
      protojson.fromJson(type, json);
    } catch (error) {
      const reason = reasonOf(error).replace(/^\./, "");
      throw new JsonMappingError(owner === nameOf(type) ? reason : `${owner}: ${reason}`, { cause: error });
    }
  }

  #any(json: JsonValue, owner: string, depth: number): JsonValue {
    if (!isRecord(json)) {
      throw new JsonMappingError(`${owner}: expected an object with "@type": ${JSON.stringify(json)}`);
    }
    const url = json["@type"];
    if (typeof url !== "string") {
      if (Object.keys(json).length === 0) return json;
      throw new JsonMappingError(`${owner}: expected "@type", the name of the message inside`);
    }
    const type = typeInAny(this.#files, url, owner);
    if (isSpecial(type)) {
      const { "@type": _, value, ...others } = json;
      if (value === undefined) {
        throw new JsonMappingError(`${owner}: expected "value", which holds a ${nameOf(type)}`);
      }
      for (const key of Object.keys(others)) this.#refuseUnknown(type, key);
      return { "@type": url, value: this.message(type, value, owner, depth + 1) };
    }
    const { "@type": _, ...body } = json;
    return { "@type": url, ...(this.message(type, body, owner, depth + 1) as JsonObject) };
  }
}

/** Changes what protobufjs has written into the form that was asked for. */
class JsonWriter {
  readonly #files: LoadedFiles;
  readonly #how: Writing;

  constructor(files: LoadedFiles, how: Writing) {
    this.#files = files;
    this.#how = how;
  }

  message(type: protobuf.Type, json: JsonValue): JsonValue {
    if (nameOf(type) === anyName) return this.#any(json);
    if (isSpecial(type) || !isRecord(json)) return json;
    const result: JsonObject = {};
    for (const field of type.fieldsArray) {
      const key = keyOf(field);
      const named = this.#how.protoNames && !isExtension(field) ? field.protoName : key;
      const value = json[key];
      const isThere =
        Object.hasOwn(json, key) && !(this.#files.zeroIsAbsent.has(field) && Object.is(value, 0));
      const written = isThere
        ? this.#field(field, value as JsonValue)
        : this.#how.filled
          ? this.#default(field)
          : undefined;
      if (written !== undefined) setOwn(result, named, written);
    }
    return result;
  }

  #field(field: protobuf.Field, value: JsonValue): JsonValue {
    if (field.map && isRecord(value)) {
      for (const [key, one] of Object.entries(value)) setOwn(value, key, this.#single(field, one));
      return value;
    }
    return field.repeated && Array.isArray(value)
      ? value.map((one) => this.#single(field, one))
      : this.#single(field, value);
  }

  #single({ resolvedType, type }: protobuf.Field, value: JsonValue): JsonValue {
    if (resolvedType instanceof protobuf.Type) return this.message(resolvedType, value);
    if (resolvedType instanceof protobuf.Enum) {
      return this.#how.enumNumbers && typeof value === "string" ? numberIn(resolvedType, value) : value;
    }
    return type === "bytes" && this.#how.bytes === "text" ? textOf(value) : value;
  }

  #any(json: JsonValue): JsonValue {
    if (!isRecord(json) || typeof json["@type"] !== "string") return json;
    const { "@type": url, ...body } = json;
    const type = typeInAny(this.#files, url, anyName);
    if (isSpecial(type)) return { "@type": url, value: this.message(type, body.value ?? null) };
    return { "@type": url, ...(this.message(type, body) as JsonObject) };
  }

  /** `undefined` for a field whose absence is a value of its own. */
  #default(field: protobuf.Field): JsonValue | undefined {
    if (isExtension(field)) return undefined;
    if (field.map) return {};
    if (field.repeated) return [];
    const { resolvedType, type } = field;
    if (this.#files.zeroIsAbsent.has(field)) return 0;
    if (field.hasPresence || resolvedType instanceof protobuf.Type) return undefined;
    if (resolvedType instanceof protobuf.Enum) {
      if (nameOf(resolvedType) === "google.protobuf.NullValue") return null;
      return this.#how.enumNumbers ? 0 : (resolvedType.valuesById[0] ?? 0);
    }
    if (type === "bool") return false;
    if (type === "string" || type === "bytes") return "";
    return type.endsWith("64") ? "0" : 0;
  }
}

interface Fields {
  /** By every name that JSON may use. */
  readonly byName: ReadonlyMap<string, protobuf.Field>;
  readonly required: readonly protobuf.Field[];
}

const fieldIndexes = new WeakMap<protobuf.Type, Fields>();

function fieldsOf(type: protobuf.Type): Fields {
  let index = fieldIndexes.get(type);
  if (index === undefined) {
    const fields = type.fieldsArray;
    const byName = new Map(
      fields.flatMap((field) => {
        const names = isExtension(field) ? [keyOf(field)] : [field.name, field.protoName, field.jsonName];
        return names.map((name) => [name, field] as const);
      }),
    );
    index = { byName, required: fields.filter((field) => field.required) };
    fieldIndexes.set(type, index);
  }
  return index;
}

/** A number, or text in its place. */
function isZero(value: JsonValue): boolean {
  return (
    (typeof value === "number" || typeof value === "string") && value !== "" && Object.is(Number(value), 0)
  );
}

/** protobufjs keeps an extension as a field whose name is its full name, and knows the one that declares it. */
function isExtension(field: protobuf.Field): boolean {
  return field.name.startsWith(".");
}

function keyOf(field: protobuf.Field): string {
  return isExtension(field) ? `[${field.name.slice(1)}]` : field.jsonName;
}

function typeInAny(files: LoadedFiles, url: string, owner: string): protobuf.Type {
  const name = url.slice(url.lastIndexOf("/") + 1);
  const type = files.type(name);
  if (type === undefined) throw new JsonMappingError(messages.unknownTypeInAny(owner, JSON.stringify(url)));
  return type;
}

/** Of a value's name in JSON, which an option may have changed. */
function numberIn(type: protobuf.Enum, name: string): JsonValue {
  if (Object.hasOwn(type.values, name)) return type.values[name] as number;
  const renamed = Object.entries(type.valuesOptions ?? {}).find(
    ([, options]) => (options as Record<string, unknown>)["(pb.enumvalue.json).string"] === name,
  );
  return renamed === undefined ? name : (type.values[renamed[0]] as number);
}

function failureOf(owner: string): (text: string) => never {
  return (text) => {
    throw new JsonMappingError(`${owner}: ${text}`);
  };
}

function base64Of(value: JsonValue): JsonValue {
  return typeof value === "string" ? Buffer.from(value, "utf8").toString("base64") : value;
}

function textOf(value: JsonValue): JsonValue {
  return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : value;
}

/** protobufjs takes some text that is no base64 and does not name the field where it refuses. */
function checkBase64(value: JsonValue, owner: string): JsonValue {
  if (typeof value !== "string") return value;
  const digits = value.replace(/={1,2}$/, "");
  if (/^[A-Za-z0-9+/_-]*$/.test(digits) && digits.length % 4 !== 1) return value;
  const shown = JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  throw new JsonMappingError(messages.notBase64(owner, shown));
}

/** Also for a key like `__proto__`, which a plain assignment would not make a property. */
function setOwn(target: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function nameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

function isSpecial(type: protobuf.Type): boolean {
  return special.has(nameOf(type));
}

function isRecord(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
