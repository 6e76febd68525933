import type protobuf from "protobufjs/light.js";
import { boolean, checkOptions, integer, type OptionRule } from "../base/options.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { type ProtoFile, withDependencies } from "../protobuf/file.js";
import { decodeMessage, encodeMessage, type MessageType } from "../protobuf/types.js";
import type { JsonValue } from "../protobuf/well-known.js";
import { JsonMappingError } from "./json-error.js";
import { jsonFromMessage, messageFromJson } from "./json-mapping.js";
import { type ExactJson, parseExactJson, writeExactJson } from "./json-text.js";
import { type LoadedFiles, loadDescriptors } from "./load.js";

/**
 * Messages of generated code and their JSON, by protobuf's JSON mapping. A message goes through its bytes: generated code
 * knows those, and protobufjs' reflection the JSON, so that there is one mapping for both and for calls in JSON.
 */

/** The messages that an `Any` may hold and the extensions that are read, besides those of the type's own files. */
export class TypeRegistry {
  readonly #files: readonly ProtoFile[];
  /** protobufjs' reflection for each file whose types were asked for; made once. */
  readonly #loaded = new Map<ProtoFile, LoadedFiles>();

  /**
   * Message types, or the .proto files that declare them, with all these files import. Make one and keep it: the first use
   * reads the descriptors. Throws `TypeError` for a type that was generated without its file.
   */
  constructor(of: Iterable<MessageType | ProtoFile>) {
    this.#files = [...of].map((one) => ("typeName" in one ? fileOf(one) : one));
  }

  /** @internal */
  load(type: MessageType): { readonly files: LoadedFiles; readonly type: protobuf.Type } {
    const own = fileOf(type);
    let files = this.#loaded.get(own);
    if (files === undefined) {
      const all = new Set([own, ...this.#files].flatMap(withDependencies));
      files = loadDescriptors(
        Array.from(all, ({ descriptor }) => descriptor),
        true,
      );
      this.#loaded.set(own, files);
    }
    const found = files.type(type.typeName);
    if (found === undefined) throw new TypeError(messages.typeNotInItsFile(type.typeName, own.name));
    return { files, type: found };
  }
}

function fileOf({ typeName, file }: MessageType): ProtoFile {
  if (file === undefined) throw new TypeError(messages.typeWithoutFile(typeName));
  return file;
}

export interface ToJsonOptions {
  /** Messages inside an `Any`, and extensions. Default: those of the files that the type's own file imports. */
  registry?: TypeRegistry | undefined;
  /** Fields under their names in the .proto: `user_id`. Default false: `userId`, or what `json_name` says. */
  useProtoNames?: boolean | undefined;
  /** Enum values as numbers instead of names. Default false. */
  enumsAsNumbers?: boolean | undefined;
  /** Fields that are not set get their default, where their absence says nothing. Default false: they are left out. */
  fillDefaults?: boolean | undefined;
}

export interface ToJsonTextOptions extends ToJsonOptions {
  /** Blanks a level, 0 to 10. Default 0: all on one line. */
  indent?: number | undefined;
}

export interface FromJsonOptions {
  /** Messages inside an `Any`, and extensions. Default: those of the files that the type's own file imports. */
  registry?: TypeRegistry | undefined;
  /** Pass over fields and enum values that the type does not have, instead of refusing them. Default false. */
  ignoreUnknown?: boolean | undefined;
}

const known = new TypeRegistry([]);
const toDefaults = {
  registry: known,
  useProtoNames: false,
  enumsAsNumbers: false,
  fillDefaults: false,
  indent: 0,
};
const fromDefaults = { registry: known, ignoreUnknown: false };
const registry: OptionRule = {
  expected: "a TypeRegistry",
  accepts: (value) => value instanceof TypeRegistry,
};
const toRules = {
  registry,
  useProtoNames: boolean,
  enumsAsNumbers: boolean,
  fillDefaults: boolean,
  indent: integer(0, 10),
};
const fromRules = { registry, ignoreUnknown: boolean };

/**
 * A message as a JSON value. 64-bit integers are text, `bytes` are base64, NaN and the infinities are text; fields that the
 * type does not know are not in it. Throws `TypeError` for a value of the wrong kind, with the field's name, and
 * `JsonMappingError` for what JSON cannot hold: a Timestamp out of its range, an `Any` of a type that is not known.
 */
export function toJson<In>(type: MessageType<unknown, In>, message: In, options?: ToJsonOptions): JsonValue {
  return written("toJson", type, message, options).json;
}

/** As `toJson`, as text. */
export function toJsonText<In>(
  type: MessageType<unknown, In>,
  message: In,
  options?: ToJsonTextOptions,
): string {
  const { json, indent } = written("toJsonText", type, message, options);
  return writeExactJson(json, indent);
}

function written<In>(
  owner: string,
  type: MessageType<unknown, In>,
  message: In,
  options: ToJsonTextOptions | undefined,
): { json: JsonValue; indent: number } {
  const checked = checkOptions<typeof toDefaults>(owner, options, toDefaults, toRules);
  const loaded = checked.registry.load(type);
  const read = loaded.type.decode(encodeMessage(type, message));
  const json = jsonFromMessage(loaded.files, loaded.type, read, {
    bytes: "base64",
    protoNames: checked.useProtoNames,
    enumNumbers: checked.enumsAsNumbers,
    filled: checked.fillDefaults,
  });
  return { json, indent: checked.indent };
}

/**
 * A message from a JSON value, such as `JSON.parse` gives; a bigint is a number of any size. Throws `JsonMappingError`,
 * whose text names the field, for what is not a message of this type. Numbers arrive exactly or are refused: a `number`
 * beyond 2^53 may not be the one that was meant. What `JSON.parse` does not tell, duplicate keys and numbers it has
 * rounded, only `fromJsonText` sees.
 */
export function fromJson<Out>(type: MessageType<Out>, json: unknown, options?: FromJsonOptions): Out {
  return read("fromJson", type, json, options);
}

/** A message from JSON text. As `fromJson`; numbers are read exactly, and keys that stand twice are refused. */
export function fromJsonText<Out>(type: MessageType<Out>, text: string, options?: FromJsonOptions): Out {
  let json: ExactJson;
  try {
    json = parseExactJson(text);
  } catch (error) {
    if (error instanceof JsonMappingError) throw error;
    throw new JsonMappingError(`${type.typeName}: not JSON: ${textOf(error)}`, { cause: error });
  }
  return read("fromJsonText", type, json, options);
}

function read<Out>(
  owner: string,
  type: MessageType<Out>,
  json: unknown,
  options: FromJsonOptions | undefined,
): Out {
  const checked = checkOptions<typeof fromDefaults>(owner, options, fromDefaults, fromRules);
  const loaded = checked.registry.load(type);
  const message = messageFromJson(loaded.files, loaded.type, json, {
    bytes: "base64",
    ignoreUnknown: checked.ignoreUnknown,
  });
  return decodeMessage(type, loaded.type.encode(message).finish());
}
