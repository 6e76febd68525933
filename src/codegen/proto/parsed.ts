import type {
  FileDescriptorProto,
  SourceCodeInfo_Location,
} from "../../descriptor/gen/google/protobuf/descriptor.js";

/** Where something stands: lines and columns from 0. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where the parts of a declaration stand, for error texts. */
export interface Places {
  self?: Position;
  name?: Position;
  number?: Position;
  type?: Position;
  extendee?: Position;
  defaultValue?: Position;
  jsonName?: Position;
  input?: Position;
  output?: Position;
}

export interface OptionNamePart {
  readonly part: string;
  /** Whether it stands in parentheses: the name of an extension. */
  readonly extension: boolean;
}

/** An option's value before the option's type is known. Strings are strings of bytes. */
export type RawValue =
  | { readonly kind: "identifier"; readonly text: string }
  | { readonly kind: "positive"; readonly value: bigint }
  | { readonly kind: "negative"; readonly value: bigint }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "string"; readonly bytes: string }
  | { readonly kind: "aggregate"; readonly text: string };

/** An option as it is written, before it is looked up. */
export interface RawOption {
  readonly name: readonly OptionNamePart[];
  readonly value: RawValue;
  readonly nameAt: Position;
  readonly valueAt: Position;
  /** Its path is changed to that of the field which the option turns out to set. */
  readonly location: SourceCodeInfo_Location | undefined;
}

/** A .proto file's syntax tree: its types are names and its options text. */
export interface ParsedProto {
  readonly descriptor: FileDescriptorProto;
  /** By declaration: an object of `descriptor`. */
  readonly places: Map<object, Places>;
  /** By declaration. */
  readonly options: Map<object, RawOption[]>;
  readonly locations: SourceCodeInfo_Location[];
  /** In the order of the file. */
  readonly imports: readonly ParsedImport[];
  /** The map entries that are made from map fields. */
  readonly mapEntries: ReadonlySet<object>;
}

export interface ParsedImport {
  readonly target: string;
  readonly kind: "plain" | "public" | "weak" | "option";
  readonly at: Position;
}

/** An option's name as it is written: `(my.ext).field`. */
export function optionName(parts: readonly OptionNamePart[]): string {
  return parts.map(({ part, extension }) => (extension ? `(${part})` : part)).join(".");
}
