import { type FieldModel, isMessage, type ScalarType } from "../model.js";

const wireTypes: Readonly<Partial<Record<ScalarType, number>>> = {
  double: 1,
  fixed64: 1,
  sfixed64: 1,
  float: 5,
  fixed32: 5,
  sfixed32: 5,
  string: 2,
  bytes: 2,
};

const longTypes: ReadonlySet<string> = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);

export function isLong(type: unknown): type is ScalarType {
  return typeof type === "string" && longTypes.has(type);
}

function wireTypeOf(type: FieldModel["type"]): number {
  if (isMessage(type)) return 2;
  return typeof type === "string" ? (wireTypes[type] ?? 0) : 0;
}

/** Whether a repeated field of this type can be packed. */
export function isPackable(type: FieldModel["type"]): boolean {
  return wireTypeOf(type) !== 2;
}

/** The key in front of one value of a field: an unsigned 32-bit number. */
export function tagOf({
  number,
  type,
  delimited,
}: Pick<FieldModel, "number" | "type" | "delimited">): number {
  return number * 8 + (isMessage(type) && delimited ? 3 : wireTypeOf(type));
}

/** The key in front of a packed list or a map entry. */
export function partTagOf({ number }: Pick<FieldModel, "number">): number {
  return number * 8 + 2;
}

/** A key or a value of a map, as a field of the entry. */
export function entryField(field: FieldModel, part: "key" | "value"): FieldModel {
  const type = part === "key" ? (field.mapKey as ScalarType) : field.type;
  return {
    ...field,
    ...{ number: part === "key" ? 1 : 2, type, presence: "explicit", defaultValue: undefined },
    errorName: `${field.errorName} ${part}`,
  };
}
