import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { FieldSymbol, FileScope } from "./symbols.js";

/** Strings and bytes are strings of bytes; 64-bit integers and enum values are bigint and number. */
export type OptionValue = bigint | number | boolean | string | OptionTree;

interface Entry {
  readonly field: FieldSymbol;
  readonly values: OptionValue[];
}

/** A file with its options interpreted. */
export interface LinkedFile extends FileScope {
  /** By declaration. */
  readonly optionTrees: Map<object, OptionTree>;
  /** By declaration, its options without those for the compiler alone; undefined when no others are left. */
  readonly runtimeOptions: Map<object, () => unknown>;
}

/** A message whose type is known from descriptors alone: the value of options, and of messages within them. */
export class OptionTree {
  readonly entries = new Map<number, Entry>();

  has(field: FieldSymbol): boolean {
    return this.entries.has(field.node.number ?? 0);
  }

  /** The one value of a field. */
  get(field: FieldSymbol): OptionValue | undefined {
    return this.entries.get(field.node.number ?? 0)?.values[0];
  }

  /** The value of the field with this number. */
  at(number: number): OptionValue | undefined {
    return this.entries.get(number)?.values[0];
  }

  /** Adds a value; another member of the same oneof goes away, as in bytes that are read. */
  add(field: FieldSymbol, value: OptionValue): void {
    const number = field.node.number ?? 0;
    const entry = this.entries.get(number);
    if (entry !== undefined) {
      entry.values.push(value);
      return;
    }
    for (const other of field.oneof?.fields ?? []) this.entries.delete(other.node.number ?? 0);
    this.entries.set(number, { field, values: [value] });
  }

  /** Every field that is set, in messages within too. */
  *fields(): Generator<FieldSymbol> {
    for (const { field, values } of this.entries.values()) {
      yield field;
      for (const value of values) if (value instanceof OptionTree) yield* value.fields();
    }
  }

  /** In the order of field numbers. `kept` leaves fields out. */
  encode(kept: (field: FieldSymbol) => boolean = () => true): Buffer {
    const out = new Bytes();
    this.#write(out, kept);
    return out.result();
  }

  #write(out: Bytes, kept: (field: FieldSymbol) => boolean): void {
    const entries = [...this.entries.values()].filter(({ field }) => kept(field));
    entries.sort((a, b) => (a.field.node.number ?? 0) - (b.field.node.number ?? 0));
    for (const { field, values } of entries) {
      if (isPacked(field)) {
        const inner = new Bytes();
        for (const value of values) inner.scalar(field, value);
        out.tag(field, 2);
        out.block(inner.result());
        continue;
      }
      for (const value of values) {
        if (!(value instanceof OptionTree)) {
          out.tag(field, wireType(field));
          out.scalar(field, value);
        } else if (isDelimited(field)) {
          out.tag(field, 3);
          value.#write(out, kept);
          out.tag(field, 4);
        } else if (isMessageSet(field)) out.messageSetItem(field, value.encode(kept));
        else {
          out.tag(field, 2);
          out.block(value.encode(kept));
        }
      }
    }
  }
}

function isMessageSet({ extension, container }: FieldSymbol): boolean {
  return extension && container?.node.options?.messageSetWireFormat === true;
}

function isDelimited({ node, features, message }: FieldSymbol): boolean {
  if (node.type === Type.TYPE_GROUP) return true;
  return features.messageEncoding === 2 && message?.node.options?.mapEntry !== true;
}

function isPacked({ node, features }: FieldSymbol): boolean {
  if (node.label !== Label.LABEL_REPEATED || wireTypes[node.type ?? 0] === 2) return false;
  return node.options?.packed ?? features.repeatedFieldEncoding === 1;
}

/** By type. */
const wireTypes = [0, 1, 5, 0, 0, 0, 1, 5, 0, 2, 2, 2, 2, 0, 0, 5, 1, 0, 0];

function wireType({ node }: FieldSymbol): number {
  return wireTypes[node.type ?? 0] ?? 0;
}

class Bytes {
  readonly #parts: Buffer[] = [];
  #open = Buffer.allocUnsafe(64);
  #used = 0;

  result(): Buffer {
    this.#parts.push(this.#open.subarray(0, this.#used));
    return Buffer.concat(this.#parts);
  }

  tag({ node }: FieldSymbol, type: number): void {
    this.varint(BigInt((node.number ?? 0) * 8 + type));
  }

  block(bytes: Buffer): void {
    this.varint(BigInt(bytes.length));
    this.#parts.push(this.#open.subarray(0, this.#used), bytes);
    this.#open = this.#open.subarray(this.#used);
    this.#used = 0;
  }

  messageSetItem({ node }: FieldSymbol, bytes: Buffer): void {
    this.varint(11n);
    this.varint(16n);
    this.varint(BigInt(node.number ?? 0));
    this.varint(26n);
    this.block(bytes);
    this.varint(12n);
  }

  varint(value: bigint): void {
    this.#room(10);
    for (let rest = BigInt.asUintN(64, value); ; ) {
      const low = Number(rest & 127n);
      rest >>= 7n;
      this.#open[this.#used++] = rest === 0n ? low : low | 128;
      if (rest === 0n) return;
    }
  }

  scalar({ node }: FieldSymbol, value: OptionValue): void {
    if (typeof value === "string") {
      this.block(Buffer.from(value, "latin1"));
      return;
    }
    if (value instanceof OptionTree) throw new TypeError("a message is no scalar");
    this.#room(8);
    switch (node.type) {
      case Type.TYPE_DOUBLE:
        this.#used = this.#open.writeDoubleLE(Number(value), this.#used);
        return;
      case Type.TYPE_FLOAT:
        this.#used = this.#open.writeFloatLE(Number(value), this.#used);
        return;
      case Type.TYPE_FIXED32:
      case Type.TYPE_SFIXED32:
        this.#used = this.#open.writeUInt32LE(Number(BigInt.asUintN(32, BigInt(value))), this.#used);
        return;
      case Type.TYPE_FIXED64:
      case Type.TYPE_SFIXED64:
        this.#used = this.#open.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), this.#used);
        return;
      case Type.TYPE_SINT32:
      case Type.TYPE_SINT64: {
        const whole = BigInt(value);
        this.varint(whole < 0n ? -2n * whole - 1n : 2n * whole);
        return;
      }
      default:
        this.varint(BigInt(value));
    }
  }

  #room(count: number): void {
    if (this.#used + count <= this.#open.length) return;
    this.#parts.push(this.#open.subarray(0, this.#used));
    this.#open = Buffer.allocUnsafe(256);
    this.#used = 0;
  }
}
