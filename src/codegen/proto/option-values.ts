import { FieldDescriptorProto_Type as Type } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { OptionValue } from "./option-tree.js";
import type { RawValue } from "./parsed.js";
import type { FieldSymbol } from "./symbols.js";

/** A value that a field does not take; the text says what it would. */
export class WrongValue extends Error {}

interface Range {
  readonly min: bigint;
  readonly max: bigint;
}

const int32: Range = { min: -(2n ** 31n), max: 2n ** 31n - 1n };
const uint32: Range = { min: 0n, max: 2n ** 32n - 1n };
const int64: Range = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const uint64: Range = { min: 0n, max: 2n ** 64n - 1n };

const ranges = new Map<Type, Range>([
  [Type.TYPE_INT32, int32],
  [Type.TYPE_SINT32, int32],
  [Type.TYPE_SFIXED32, int32],
  [Type.TYPE_UINT32, uint32],
  [Type.TYPE_FIXED32, uint32],
  [Type.TYPE_INT64, int64],
  [Type.TYPE_SINT64, int64],
  [Type.TYPE_SFIXED64, int64],
  [Type.TYPE_UINT64, uint64],
  [Type.TYPE_FIXED64, uint64],
]);

/** The range of an integer type; undefined for other types. */
export function integerRange(type: Type | undefined): Range | undefined {
  return type === undefined ? undefined : ranges.get(type);
}

/** The value of a scalar or enum field, as an option statement gives it. Throws `WrongValue`. */
export function scalarValue(field: FieldSymbol, raw: RawValue): OptionValue {
  const range = integerRange(field.node.type);
  if (range !== undefined) {
    if (raw.kind !== "positive" && raw.kind !== "negative") throw new WrongValue("takes an integer");
    if (raw.value < range.min || raw.value > range.max) {
      throw new WrongValue(`takes an integer from ${range.min} to ${range.max}`);
    }
    return raw.value;
  }
  switch (field.node.type) {
    case Type.TYPE_BOOL:
      if (raw.kind === "identifier" && (raw.text === "true" || raw.text === "false"))
        return raw.text === "true";
      throw new WrongValue("takes true or false");
    case Type.TYPE_FLOAT:
    case Type.TYPE_DOUBLE:
      return floatingValue(raw);
    case Type.TYPE_ENUM:
      if (raw.kind !== "identifier")
        throw new WrongValue(`takes the name of a value of ${field.enum?.fullName}`);
      return enumNumber(field, raw.text);
    case Type.TYPE_STRING:
    case Type.TYPE_BYTES:
      if (raw.kind !== "string") throw new WrongValue("takes a string in quotes");
      return raw.bytes;
    default:
      throw new WrongValue("takes a message: { field: value }");
  }
}

function floatingValue(raw: RawValue): number {
  if (raw.kind === "double" || raw.kind === "positive" || raw.kind === "negative") return Number(raw.value);
  if (raw.kind === "identifier" && raw.text === "inf") return Number.POSITIVE_INFINITY;
  if (raw.kind === "identifier" && raw.text === "nan") return Number.NaN;
  throw new WrongValue("takes a number");
}

/** The number of an enum's value. Throws `WrongValue` for a name it does not have. */
export function enumNumber(field: FieldSymbol, name: string): number {
  const found = field.enum?.valueByName.get(name);
  if (found === undefined)
    throw new WrongValue(`takes a value of ${field.enum?.fullName}, which has no ${name}`);
  return found.node.number ?? 0;
}
