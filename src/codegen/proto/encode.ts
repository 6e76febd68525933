import type {
  DescriptorProto,
  EnumDescriptorProto,
  FieldDescriptorProto,
  FileDescriptorProto,
  ServiceDescriptorProto,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { FieldOptions_OptionRetention as Retention } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { OptionTree } from "./option-tree.js";

/** Options that are for the compiler alone do not get into descriptors; undefined when there are no others. */
function optionBytes(tree: OptionTree): Buffer | undefined {
  const bytes = tree.encode(({ node }) => node.options?.retention !== Retention.RETENTION_SOURCE);
  return bytes.length === 0 && tree.entries.size > 0 ? undefined : bytes;
}

/**
 * A file's descriptor in bytes, without source info. Fields go in the order of their numbers, as protoc writes them; what
 * is generated from descriptor.proto writes them in the order of their declarations.
 */
export function encodeFile(file: FileDescriptorProto, options: ReadonlyMap<object, OptionTree>): Buffer {
  const out = new Message(options);
  out.text(1, file.name);
  out.text(2, file.package);
  for (const one of file.dependency) out.text(3, one);
  for (const one of file.messageType) out.message(4, (inner) => writeMessage(inner, one));
  for (const one of file.enumType) out.message(5, (inner) => writeEnum(inner, one));
  for (const one of file.service) out.message(6, (inner) => writeService(inner, one));
  for (const one of file.extension) out.message(7, (inner) => writeField(inner, one));
  out.options(8, file);
  for (const one of file.publicDependency) out.number(10, one);
  for (const one of file.weakDependency) out.number(11, one);
  out.text(12, file.syntax);
  out.number(14, file.edition);
  for (const one of file.optionDependency) out.text(15, one);
  return out.bytes();
}

function writeMessage(out: Message, node: DescriptorProto): void {
  out.text(1, node.name);
  for (const one of node.field) out.message(2, (inner) => writeField(inner, one));
  for (const one of node.nestedType) out.message(3, (inner) => writeMessage(inner, one));
  for (const one of node.enumType) out.message(4, (inner) => writeEnum(inner, one));
  for (const one of node.extensionRange) {
    out.message(5, (inner) => {
      inner.number(1, one.start);
      inner.number(2, one.end);
      inner.options(3, one);
    });
  }
  for (const one of node.extension) out.message(6, (inner) => writeField(inner, one));
  out.options(7, node);
  for (const one of node.oneofDecl) {
    out.message(8, (inner) => {
      inner.text(1, one.name);
      inner.options(2, one);
    });
  }
  for (const one of node.reservedRange) out.message(9, (inner) => writeRange(inner, one));
  for (const one of node.reservedName) out.text(10, one);
  out.number(11, node.visibility);
}

function writeRange(out: Message, range: { start: number | undefined; end: number | undefined }): void {
  out.number(1, range.start);
  out.number(2, range.end);
}

function writeField(out: Message, node: FieldDescriptorProto): void {
  out.text(1, node.name);
  out.text(2, node.extendee);
  out.number(3, node.number);
  out.number(4, node.label);
  out.number(5, node.type);
  out.text(6, node.typeName);
  out.text(7, node.defaultValue);
  out.options(8, node);
  out.number(9, node.oneofIndex);
  out.text(10, node.jsonName);
  out.number(17, node.proto3Optional === undefined ? undefined : Number(node.proto3Optional));
}

function writeEnum(out: Message, node: EnumDescriptorProto): void {
  out.text(1, node.name);
  for (const one of node.value) {
    out.message(2, (inner) => {
      inner.text(1, one.name);
      inner.number(2, one.number);
      inner.options(3, one);
    });
  }
  out.options(3, node);
  for (const one of node.reservedRange) out.message(4, (inner) => writeRange(inner, one));
  for (const one of node.reservedName) out.text(5, one);
  out.number(6, node.visibility);
}

function writeService(out: Message, node: ServiceDescriptorProto): void {
  out.text(1, node.name);
  for (const one of node.method) {
    out.message(2, (inner) => {
      inner.text(1, one.name);
      inner.text(2, one.inputType);
      inner.text(3, one.outputType);
      inner.options(4, one);
      if (one.clientStreaming !== undefined) inner.number(5, Number(one.clientStreaming));
      if (one.serverStreaming !== undefined) inner.number(6, Number(one.serverStreaming));
    });
  }
  out.options(3, node);
}

class Message {
  readonly #options: ReadonlyMap<object, OptionTree>;
  readonly #parts: Buffer[] = [];

  constructor(options: ReadonlyMap<object, OptionTree>) {
    this.#options = options;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  number(field: number, value: number | undefined): void {
    if (value === undefined) return;
    this.#parts.push(varint(field * 8), varint(value));
  }

  text(field: number, value: string | undefined): void {
    if (value !== undefined) this.#block(field, Buffer.from(value, "utf8"));
  }

  options(field: number, owner: object): void {
    const tree = this.#options.get(owner);
    const bytes = tree && optionBytes(tree);
    if (bytes !== undefined) this.#block(field, bytes);
  }

  message(field: number, write: (inner: Message) => void): void {
    const inner = new Message(this.#options);
    write(inner);
    this.#block(field, inner.bytes());
  }

  #block(field: number, bytes: Buffer): void {
    this.#parts.push(varint(field * 8 + 2), varint(bytes.length), bytes);
  }
}

function varint(value: number): Buffer {
  if (value >= 0 && value < 128) return Buffer.of(value);
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
