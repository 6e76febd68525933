import { unknownFields, type WithUnknownFields } from "./unknown.js";
import {
  hintAtTime,
  int32Range,
  int64Range,
  invalidEnum,
  invalidValue,
  isInt64,
  isUint64,
  uint32Range,
  uint64Range,
} from "./values.js";
import { WireWriter } from "./wire-writer.js";

export { copyAll } from "./wire-writer.js";

/**
 * Writes protobuf straight into one Buffer, in place: no operation list, no second copy. The method names are
 * protobufjs's, so that its readers of generated code feel at home; a nested message is written between `begin` and
 * `end`, which puts its length in front of it.
 *
 * The same Writer carries whole frames: a connection hands it from message to message and sends `view()` once a tick.
 */
export class Writer extends WireWriter {
  // Fields, as generated code writes them: key, check, value. `name` is what an error calls the field. A key of 0 is
  // not written: that is how the elements of a packed list go. Each throws `TypeError` for a value of the wrong kind.

  uint32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || value >>> 0 !== value) {
      throw invalidValue(name, uint32Range, value);
    }
    this.#key(tag);
    this.uint32(value);
  }

  int32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.int32(value);
  }

  /** `values` and `enumName`, as the generated code has them: for the error. */
  enumField(
    tag: number,
    value: number,
    name: string,
    enumName: string,
    values: Readonly<Record<string, number>>,
  ): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidEnum(name, enumName, values, value);
    this.#key(tag);
    this.int32(value);
  }

  sint32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.sint32(value);
  }

  fixed32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || value >>> 0 !== value) {
      throw invalidValue(name, uint32Range, value);
    }
    this.#key(tag);
    this.fixed32(value);
  }

  sfixed32Field(tag: number, value: number, name: string): void {
    if (typeof value !== "number" || (value | 0) !== value) throw invalidValue(name, int32Range, value);
    this.#key(tag);
    this.sfixed32(value);
  }

  uint64Field(tag: number, value: bigint | number, name: string): void {
    if (!isUint64(value)) throw invalidValue(name, uint64Range, value);
    this.#key(tag);
    this.uint64(value);
  }

  int64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.int64(value);
  }

  sint64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.sint64(value);
  }

  fixed64Field(tag: number, value: bigint | number, name: string): void {
    if (!isUint64(value)) throw invalidValue(name, uint64Range, value);
    this.#key(tag);
    this.fixed64(value);
  }

  sfixed64Field(tag: number, value: bigint | number, name: string): void {
    if (!isInt64(value)) throw invalidValue(name, int64Range, value);
    this.#key(tag);
    this.sfixed64(value);
  }

  floatField(tag: number, value: number, name: string): void {
    if (typeof value !== "number") throw invalidValue(name, "float (a number)", value);
    this.#key(tag);
    this.float(value);
  }

  doubleField(tag: number, value: number, name: string): void {
    if (typeof value !== "number") throw invalidValue(name, "double (a number)", value);
    this.#key(tag);
    this.double(value);
  }

  boolField(tag: number, value: boolean, name: string): void {
    if (typeof value !== "boolean") throw invalidValue(name, "bool (true or false)", value);
    this.#key(tag);
    this.bool(value);
  }

  stringField(tag: number, value: string, name: string): void {
    if (typeof value !== "string") throw invalidValue(name, "string", value);
    this.#key(tag);
    this.string(value, name);
  }

  bytesField(tag: number, value: Uint8Array | string, name: string): void {
    if (typeof value === "string") {
      this.#key(tag);
      this.string(value, name);
    } else if (value instanceof Uint8Array) {
      this.#key(tag);
      this.uint32(value.length).raw(value);
    } else throw invalidValue(name, "bytes (Uint8Array or string)", value);
  }

  /** The elements of a packed list. As `int32Field` for each of them, without a call for each. */
  packedInt32(values: readonly number[], name: string): void {
    const count = values.length;
    let { buffer, position: at } = this;
    for (let i = 0; i < count; i++) {
      const value = values[i] as number;
      if ((value | 0) !== value) throw invalidValue(name, int32Range, value);
      if (at + 10 > buffer.length) {
        this.position = at;
        this.ensure(10);
        buffer = this.buffer;
      }
      if (value < 0) {
        this.position = at;
        this.varint64(value >>> 0, 0xffff_ffff);
        at = this.position;
      } else if (value < 0x80) {
        buffer[at++] = value;
      } else if (value < 0x4000) {
        buffer[at] = value | 128;
        buffer[at + 1] = value >>> 7;
        at += 2;
      } else {
        let rest = value;
        for (; rest > 127; rest >>>= 7) buffer[at++] = rest | 128;
        buffer[at++] = rest;
      }
    }
    this.position = at;
  }

  /** Opens a nested message; returns the mark for `end`. */
  messageField(tag: number, value: object, name: string): number {
    if (typeof value !== "object" || value === null) {
      throw invalidValue(name, "a message (an object)", value, hintAtTime(value));
    }
    return this.partField(tag);
  }

  /** Opens a group, whose closing tag is written with `uint32` when its fields are. */
  groupField(tag: number, value: object, name: string): void {
    if (typeof value !== "object" || value === null) {
      throw invalidValue(name, "a message (an object)", value, hintAtTime(value));
    }
    this.#key(tag);
  }

  /** The fields a message's type does not know, as they came. */
  unknown(message: object): void {
    const bytes = (message as WithUnknownFields)[unknownFields];
    if (bytes !== undefined) this.raw(bytes);
  }

  /** Opens a packed list or a map entry; returns the mark for `end`. */
  partField(tag: number): number {
    this.#key(tag);
    return this.begin();
  }

  #key(tag: number): void {
    if (tag > 127) this.uint32(tag);
    else if (tag !== 0) {
      this.ensure(1);
      this.buffer[this.position++] = tag;
    }
  }
}
