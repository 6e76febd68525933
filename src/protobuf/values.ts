import { types } from "node:util";
import { emptyBytes, nestingMax } from "./reader.js";
import { setUnknownFields, unknownFields, type WithUnknownFields } from "./unknown.js";

export const int32Range = "int32 (a whole number from -2147483648 to 2147483647)";
export const uint32Range = "uint32 (a whole number from 0 to 4294967295)";
export const int64Range = "int64 (a bigint from -2^63 to 2^63-1, or a safe whole number)";
export const uint64Range = "uint64 (a bigint from 0 to 2^64-1, or a safe whole number)";

/** The error for a value that does not fit its field: `LoginRequest.name: expected string, got number (5)`. */
export function invalidValue(name: string, expected: string, value: unknown, hint = ""): TypeError {
  return new TypeError(`${name}: expected ${expected}, got ${describe(value)}${hint}`);
}

/** Text and bytes are not shown: what lands in the wrong field may be a password. */
function describe(value: unknown): string {
  if (value === null) return "null";
  switch (typeof value) {
    case "number":
    case "boolean":
      return `${typeof value} (${value})`;
    case "bigint":
      return `bigint (${value}n)`;
    case "object":
      return Array.isArray(value) ? "an array" : (value.constructor?.name ?? "an object");
    default:
      return typeof value;
  }
}

/** The part of a message type that tells its fields. */
interface Fielded {
  create(): unknown;
}

/**
 * Throws `TypeError` when what should be a message is none: no object, an Error, a list, a Map, another of JavaScript's own
 * kinds, or an instance of a class that has none of the message's fields. All of them would be sent as an empty message,
 * or, where a name happens to fit, as one that says something else.
 *
 * Generated code asks only about objects that are no plain ones of this realm.
 */
export function checkMessage(message: unknown, name: string, type?: Fielded): void {
  if (typeof message !== "object" || message === null) {
    throw invalidValue(name, "a message (an object)", message);
  }
  const hint = mistaken(message);
  if (hint !== undefined) throw invalidValue(name, "a message (an object)", message, hint);
  const prototype: unknown = Object.getPrototypeOf(message);
  // Without a prototype, or a plain object of another realm, as tests in `vm` contexts have them.
  if (prototype === null || Object.getPrototypeOf(prototype) === null || type === undefined) return;
  const fields = Object.keys(type.create() as object);
  if (fields.length === 0 || fields.some((field) => field in message)) return;
  throw invalidValue(name, `a message with some of ${fields.slice(0, 5).join(", ")}`, message);
}

/** What to do about an object of one of JavaScript's own kinds, from whatever realm; undefined for any other. */
function mistaken(value: object): string | undefined {
  if (types.isNativeError(value) || value instanceof Error) return ": throw it instead of returning it";
  if (types.isPromise(value)) return ": await it";
  if (types.isDate(value)) return ": a Date is taken where the .proto says google.protobuf.Timestamp";
  const builtIn =
    Array.isArray(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value);
  return builtIn ? "" : undefined;
}

/** What to do about a time that stands where a message should. */
export function hintAtTime(value: unknown): string {
  const time =
    typeof value === "number" ? value >= 1e8 : typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value);
  return time ? ": a google.protobuf.Timestamp takes a Date, new Date(...)" : "";
}

/** Decimal text as the number it stands for; anything else as it is. */
export function longOf(value: bigint | number | string): bigint | number {
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : (value as bigint | number);
}

/** A 64-bit integer as a number. Throws `RangeError` for what a number cannot hold exactly. */
export function toSafeNumber(value: bigint | number | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is no whole number up to 2^53`);
  return number;
}

export function isInt64(value: unknown): value is bigint | number {
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value;
  return Number.isSafeInteger(value);
}

export function isUint64(value: unknown): value is bigint | number {
  if (typeof value === "bigint") return BigInt.asUintN(64, value) === value;
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** `bytes` as decoding gives them; a `Uint8Array` is not copied, a string becomes its UTF-8. */
export function toBuffer(value: Uint8Array | string): Buffer {
  if (typeof value === "string") return value === "" ? emptyBytes : Buffer.from(value);
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

const nothing: readonly never[] = [];

/** A repeated field as something to walk; absent is empty. Throws `TypeError` for what is no array. */
export function listOf<T>(value: readonly T[] | null | undefined, name: string): readonly T[] {
  if (Array.isArray(value)) return value;
  if (value === undefined || value === null) return nothing;
  throw invalidValue(name, "an array", value);
}

/** What a map field takes: a `Map`, pairs, or, with string keys, an object. */
export type MapInput<K, V> =
  | Iterable<readonly [K, V]>
  | (K extends string ? Readonly<Record<string, V>> : never);

/** A map field as pairs to walk; absent is empty. Only an object's own keys count, `__proto__` as any other. */
export function entriesOf<K, V>(
  value: MapInput<K, V> | null | undefined,
  name: string,
): Iterable<readonly [K, V]> {
  if (value === undefined || value === null) return nothing;
  if (typeof value !== "object") throw invalidValue(name, "a Map, pairs or an object", value);
  if (value instanceof Map) return value;
  if (Symbol.iterator in value) return pairsOf(value as Iterable<readonly [K, V]>, name);
  return Object.entries(value) as Iterable<[K & string, V]>;
}

/** Pairs, and a `TypeError` that names the field where JavaScript's own names none. */
function* pairsOf<P>(given: Iterable<P>, name: string): Iterable<P> {
  for (const pair of given) {
    if (!Array.isArray(pair)) throw invalidValue(`${name} entry`, "a pair [key, value]", pair);
    yield pair;
  }
}

/** `convert` of what is there; absent stays absent. */
export function optional<In, Out>(
  value: In | null | undefined,
  convert: (value: In) => Out,
): Out | undefined {
  return value === undefined || value === null ? undefined : convert(value);
}

/** `convert` of a message that must be there. Throws `TypeError` that names the field when it is not. */
export function required<In, Out>(
  value: In | null | undefined,
  name: string,
  convert: (value: In) => Out,
): Out {
  if (value === undefined || value === null) throw missingField(name);
  return convert(value);
}

/** A repeated field as decoding gives it. */
export function arrayOf<In, Out>(
  value: readonly In[] | null | undefined,
  name: string,
  convert: (value: In) => Out,
): Out[] {
  return listOf(value, name).map((one) => convert(one));
}

/** A map field as decoding gives it. */
export function mapOf<K, In, Out>(
  value: MapInput<K, In> | null | undefined,
  name: string,
  convert: (value: In) => Out,
): Map<K, Out> {
  const result = new Map<K, Out>();
  for (const [key, one] of entriesOf(value, name)) result.set(key, convert(one));
  return result;
}

/** As `mapOf`, for keys that may be given in several ways: those of 64 bits. */
export function keyedMapOf<Key, K, In, Out>(
  value: MapInput<Key, In> | null | undefined,
  name: string,
  keyOf: (key: Key) => K,
  convert: (value: In) => Out,
): Map<K, Out> {
  const result = new Map<K, Out>();
  for (const [key, one] of entriesOf(value, name)) result.set(keyOf(key), convert(one));
  return result;
}

/** The message that `create` made, with what `input` has of unknown fields. */
export function withUnknown<Out extends object>(message: Out, input: object | undefined): Out {
  const bytes = (input as WithUnknownFields | undefined)?.[unknownFields];
  if (bytes !== undefined) setUnknownFields(message, bytes);
  return message;
}

/** The `convert` of values that are the same given and decoded. */
export function same<T>(value: T): T {
  return value;
}

const valuesOfEnums = new WeakMap<object, ReadonlySet<number>>();

/** Whether a number is one of an enum's: a closed enum (proto2) takes no other. */
export function isEnumValue<E extends Readonly<Record<string, number>>>(
  values: E,
  value: number,
): value is E[keyof E] {
  let known = valuesOfEnums.get(values);
  if (known === undefined) {
    known = new Set(Object.values(values));
    valuesOfEnums.set(values, known);
  }
  return known.has(value);
}

/** The error for what is no number in the place of an enum's; its members' names are the usual mistake. */
export function invalidEnum(
  name: string,
  enumName: string,
  values: Readonly<Record<string, number>>,
  value: unknown,
): TypeError {
  const meant = typeof value === "string" && Object.hasOwn(values, value) ? value : Object.keys(values)[0];
  return invalidValue(name, `a number of the enum ${enumName}, such as ${enumName}.${meant}`, value);
}

/** Throws `TypeError` for a number that is not one of a closed enum's; what is no number fails in `enumField`. */
export function checkEnum(values: Readonly<Record<string, number>>, value: number, name: string): void {
  if (typeof value === "number" && !isEnumValue(values, value)) {
    const known = Object.entries(values).map(([key, number]) => `${key} = ${number}`);
    throw invalidValue(name, `one of ${known.join(", ")}`, value);
  }
}

/** The error for a proto2 `required` field that is not there. */
export function missingField(name: string): TypeError {
  return new TypeError(`${name}: a required field is missing`);
}

/** The error for a oneof whose `case` names none of its fields. */
export function unknownCase(value: unknown, name: string, ...cases: readonly string[]): TypeError {
  const given = value as { readonly case?: unknown } | null;
  return new TypeError(`${name}.case: expected one of ${cases.join(", ")}, got ${String(given?.case)}`);
}

/** The error for messages nested deeper than `nestingMax`. */
export function tooDeep(name: string): Error {
  return new Error(`${name}: messages nested deeper than ${nestingMax}`);
}
