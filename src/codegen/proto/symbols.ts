import type { Features } from "../../descriptor/features.js";
import {
  type DescriptorProto,
  type DescriptorProto_ExtensionRange,
  type Edition,
  type EnumDescriptorProto,
  type EnumValueDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  type MethodDescriptorProto,
  type OneofDescriptorProto,
  FileOptions_OptimizeMode as OptimizeMode,
  type ServiceDescriptorProto,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { ParsedProto } from "./parsed.js";

/** A file while it is linked. */
export interface FileScope {
  readonly kind: "file";
  readonly name: string;
  /** As error texts name it. */
  readonly path: string;
  readonly parsed: ParsedProto;
  readonly node: FileDescriptorProto;
  readonly edition: Edition;
  readonly package: string;
  /** In the order of `parsed.imports`. */
  readonly imports: readonly FileScope[];
  /** The files whose symbols may be used here: itself, its imports, and what those import publicly. */
  readonly visible: ReadonlySet<FileScope>;
  /** The files whose symbols may be used in options only. */
  readonly visibleToOptions: ReadonlySet<FileScope>;
  readonly messages: MessageSymbol[];
  readonly enums: EnumSymbol[];
  readonly extensions: FieldSymbol[];
  readonly services: ServiceSymbol[];
  /** The packages of the files that may be used, with those around them. */
  readonly packages: ReadonlySet<string>;
  /** Files that something here was found in. */
  readonly used: Set<FileScope>;
  /** Whether it could be linked. Who imports a broken file is not linked at all. */
  broken: boolean;
  features: Features;
}

interface Declared<Node> {
  readonly name: string;
  readonly fullName: string;
  readonly file: FileScope;
  readonly node: Node;
}

export interface PackageSymbol {
  readonly kind: "package";
  readonly fullName: string;
  readonly file: FileScope;
}

export interface MessageSymbol extends Declared<DescriptorProto> {
  readonly kind: "message";
  readonly parent: MessageSymbol | undefined;
  readonly fields: FieldSymbol[];
  readonly extensions: FieldSymbol[];
  readonly messages: MessageSymbol[];
  readonly enums: EnumSymbol[];
  readonly oneofs: OneofSymbol[];
  readonly fieldByName: Map<string, FieldSymbol>;
  readonly ranges: readonly DescriptorProto_ExtensionRange[];
  features: Features;
}

export interface FieldSymbol extends Declared<FieldDescriptorProto> {
  readonly kind: "field";
  /** The message around the declaration; undefined for an extension on a file's top level. */
  readonly parent: MessageSymbol | undefined;
  readonly extension: boolean;
  /** The message that has the field: `parent`, or what an extension extends once that is known. */
  container: MessageSymbol | undefined;
  readonly oneof: OneofSymbol | undefined;
  /** Known after linking. */
  message: MessageSymbol | undefined;
  enum: EnumSymbol | undefined;
  features: Features;
}

export interface OneofSymbol extends Declared<OneofDescriptorProto> {
  readonly kind: "oneof";
  readonly parent: MessageSymbol;
  readonly fields: FieldSymbol[];
  features: Features;
}

export interface EnumSymbol extends Declared<EnumDescriptorProto> {
  readonly kind: "enum";
  readonly parent: MessageSymbol | undefined;
  readonly values: ValueSymbol[];
  readonly valueByName: Map<string, ValueSymbol>;
  /** The first of those with the number. */
  readonly valueByNumber: Map<number, ValueSymbol>;
  features: Features;
}

export interface ValueSymbol extends Declared<EnumValueDescriptorProto> {
  readonly kind: "value";
  readonly enum: EnumSymbol;
}

export interface ServiceSymbol extends Declared<ServiceDescriptorProto> {
  readonly kind: "service";
  readonly methods: MethodSymbol[];
}

export interface MethodSymbol extends Declared<MethodDescriptorProto> {
  readonly kind: "method";
  readonly service: ServiceSymbol;
}

export type ScopeSymbol = PackageSymbol | MessageSymbol | EnumSymbol | ServiceSymbol;
export type Symbol_ = ScopeSymbol | FieldSymbol | OneofSymbol | ValueSymbol | MethodSymbol;

/** What an error text calls a symbol. */
export const kindNames: Readonly<Record<Symbol_["kind"], string>> = {
  package: "a package",
  message: "a message",
  field: "a field",
  oneof: "a oneof",
  enum: "an enum",
  value: "an enum value",
  service: "a service",
  method: "a method",
};

/** Everything declared in the files of one run. */
export class Pool {
  readonly symbols = new Map<string, Symbol_>();
  /** By full name of the extended message and number. */
  readonly extensions = new Map<string, FieldSymbol>();
}

/** Every message of a file, those within others after them. */
export function* messagesOf(scope: FileScope | MessageSymbol): Generator<MessageSymbol> {
  for (const message of scope.messages) {
    yield message;
    yield* messagesOf(message);
  }
}

/** Every enum of a file. */
export function* enumsOf(file: FileScope): Generator<EnumSymbol> {
  yield* file.enums;
  for (const message of messagesOf(file)) yield* message.enums;
}

/** Every extension that a file declares. */
export function* extensionsOf(file: FileScope): Generator<FieldSymbol> {
  yield* file.extensions;
  for (const message of messagesOf(file)) yield* message.extensions;
}

/** Whether a file's code is made without reflection. */
export function isLite({ node }: FileScope): boolean {
  return node.options?.optimizeFor === OptimizeMode.LITE_RUNTIME;
}

/** The extension range of a message that holds a number. */
export function rangeOf(message: MessageSymbol, number: number): DescriptorProto_ExtensionRange | undefined {
  let sorted = sortedRanges.get(message);
  if (sorted === undefined) {
    sorted = [...message.ranges].sort((a, b) => (a.start ?? 0) - (b.start ?? 0));
    sortedRanges.set(message, sorted);
  }
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.end ?? 0) > number) high = middle;
    else low = middle + 1;
  }
  const found = sorted[low];
  return found !== undefined && (found.start ?? 0) <= number ? found : undefined;
}

const sortedRanges = new WeakMap<MessageSymbol, readonly DescriptorProto_ExtensionRange[]>();
