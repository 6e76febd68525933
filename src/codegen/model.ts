import type { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";
import type { Idempotency, MethodKind } from "../protobuf/types.js";

/**
 * What the generator knows of .proto files: linked descriptors with every feature resolved and every name of the TypeScript
 * chosen. Made from descriptors alone (build-model.ts), so that it is the same whoever parsed the files.
 */
export interface FileModel {
  /** The name others import it by: `fixbug/user.proto`. */
  readonly name: string;
  readonly package: string;
  /** The serialized FileDescriptorProto, without source positions. */
  readonly descriptor: Uint8Array;
  readonly proto: FileDescriptorProto;
  /** The files it imports, in order. */
  readonly dependencies: readonly FileModel[];
  /** In the order of the file, nested ones after their parent. */
  readonly messages: MessageModel[];
  readonly enums: EnumModel[];
  readonly services: ServiceModel[];
  /** Of the file and of its messages. */
  readonly extensions: ExtensionModel[];
}

/** Anything with a name that may have a comment. */
export interface Declared {
  /** The .proto's spelling. */
  readonly name: string;
  readonly comment: string | undefined;
  readonly deprecated: boolean;
}

interface DeclaredType extends Declared {
  readonly file: FileModel;
  /** `fixbug.Outer.Inner`. */
  readonly fullName: string;
  /** Without the package: `Outer.Inner`. */
  readonly shortName: string;
}

/** `option (mprpc.topic) = "orders.created"` of a message. */
export interface TopicModel {
  /** As it is written, which may be no name of a topic. */
  readonly name: string;
  /** Of the option, from 1; undefined when the descriptor came without positions. */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

export interface MessageModel extends DeclaredType {
  readonly kind: "message";
  readonly topic: TopicModel | undefined;
  fields: readonly FieldModel[];
  oneofs: readonly OneofModel[];
  /** `option message_set_wire_format`. */
  readonly messageSet: boolean;
  /** Whether a message of this type can hold another of the same type, at any depth. */
  recursive: boolean;
  /** Whether it can hold a recursive one, itself included: then its depth is counted. */
  countsDepth: boolean;
}

export interface EnumModel extends DeclaredType {
  readonly kind: "enum";
  readonly values: readonly EnumValueModel[];
  /** A closed enum takes no number beyond its own. */
  readonly closed: boolean;
}

export interface EnumValueModel extends Declared {
  readonly number: number;
}

export interface OneofModel extends Declared {
  /** Name in TypeScript. */
  readonly localName: string;
  readonly fields: readonly FieldModel[];
}

export type ScalarType =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

/** What a 64-bit integer is in TypeScript. */
export type LongForm = "bigint" | "number" | "string";

/**
 * How a field shows that it is not set: `implicit` is the type's default value, `explicit` is undefined, `required` is
 * never unset; `oneof` fields are known by their case.
 */
export type Presence = "implicit" | "explicit" | "required" | "oneof" | "repeated" | "map";

export interface FieldModel extends Declared {
  /** The property, or in a oneof the case. */
  readonly localName: string;
  readonly number: number;
  readonly type: ScalarType | MessageModel | EnumModel;
  readonly presence: Presence;
  readonly packed: boolean;
  /** A group: between two tags instead of behind a length. */
  readonly delimited: boolean;
  /** Whether a string must be UTF-8. */
  readonly verifyUtf8: boolean;
  readonly longs: LongForm;
  readonly mapKey: ScalarType | undefined;
  /** `[default = ...]` in the form of FieldDescriptorProto. */
  readonly defaultValue: string | undefined;
  /** What errors call it: `LoginRequest.name`. */
  readonly errorName: string;
  oneof: OneofModel | undefined;
}

export interface ExtensionModel extends DeclaredType {
  readonly kind: "extension";
  readonly extendee: MessageModel;
  /** With the name `value`, as the one field of a message of its own. */
  readonly field: FieldModel;
}

export interface ServiceModel extends DeclaredType {
  readonly kind: "service";
  readonly methods: readonly MethodModel[];
}

export interface MethodModel extends Declared {
  readonly kind: MethodKind;
  readonly localName: string;
  readonly idempotency: Idempotency;
  readonly input: MessageModel;
  readonly output: MessageModel;
}

export type TypeModel = MessageModel | EnumModel;

export function isMessage(type: ScalarType | TypeModel): type is MessageModel {
  return typeof type === "object" && type.kind === "message";
}

export function isEnum(type: ScalarType | TypeModel): type is EnumModel {
  return typeof type === "object" && type.kind === "enum";
}
