/** A .proto file as the emitter sees it: names resolved, every declaration with its line. */

export const scalarTypes = [
  "double",
  "float",
  "int32",
  "uint32",
  "sint32",
  "fixed32",
  "sfixed32",
  "int64",
  "uint64",
  "sint64",
  "fixed64",
  "sfixed64",
  "bool",
  "string",
  "bytes",
] as const;

export type ScalarType = (typeof scalarTypes)[number];

interface Declared {
  /** The .proto's spelling. */
  readonly name: string;
  readonly line: number;
  readonly comment: string | undefined;
  readonly deprecated: boolean;
}

export interface ProtoImport {
  /** As written: `google/protobuf/any.proto`. */
  readonly target: string;
  readonly public: boolean;
  readonly line: number;
  /** Set when files are loaded. */
  file?: ProtoFile;
}

export interface ProtoFile {
  /** The name others import it by: `fixbug/user.proto`. */
  readonly name: string;
  /** Where it was read, for error texts. */
  readonly path: string;
  readonly package: string;
  readonly syntax: "proto2" | "proto3";
  readonly imports: readonly ProtoImport[];
  /** In the order of the file, nested ones after their parent. */
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
  readonly services: readonly ProtoService[];
}

interface DeclaredType extends Declared {
  readonly file: ProtoFile;
  /** `fixbug.Outer.Inner`. */
  readonly fullName: string;
  /** Without the package: `Outer.Inner`. */
  readonly shortName: string;
}

export interface ProtoMessage extends DeclaredType {
  readonly kind: "message";
  readonly fields: readonly ProtoField[];
  readonly oneofs: readonly ProtoOneof[];
  /** Whether a message of this type can hold another of the same type, at any depth. */
  recursive: boolean;
}

export interface ProtoEnum extends DeclaredType {
  readonly kind: "enum";
  readonly values: readonly ProtoEnumValue[];
  /** A closed enum (proto2) takes no number beyond its own. */
  readonly closed: boolean;
}

export interface ProtoEnumValue extends Declared {
  readonly number: number;
}

export interface ProtoOneof extends Declared {
  /** Name in TypeScript. */
  readonly localName: string;
  readonly fields: readonly ProtoField[];
}

/**
 * How a field shows that it is not set: `implicit` is proto3's default value, `explicit` is undefined, `required` is
 * never unset; `oneof` fields are known by their case.
 */
export type Presence = "implicit" | "explicit" | "required" | "oneof" | "repeated" | "map";

export interface ProtoField extends Declared {
  readonly localName: string;
  readonly jsonName: string;
  readonly id: number;
  /** As written: a scalar type or a type name. */
  readonly typeName: string;
  readonly presence: Presence;
  readonly packed: boolean;
  readonly mapKey: ScalarType | undefined;
  /** `[default = ...]` as written. */
  readonly defaultText: string | undefined;
  /** Owner, for error texts and names. */
  readonly message: string;
  /** Set when names are resolved. */
  type: ScalarType | ProtoMessage | ProtoEnum;
}

export interface ProtoService extends DeclaredType {
  readonly kind: "service";
  readonly methods: readonly ProtoMethod[];
}

export interface ProtoMethod extends Declared {
  readonly localName: string;
  readonly inputName: string;
  readonly outputName: string;
  readonly idempotency: "unknown" | "no_side_effects" | "idempotent";
  input?: ProtoMessage;
  output?: ProtoMessage;
}

export type ProtoType = ProtoMessage | ProtoEnum;
