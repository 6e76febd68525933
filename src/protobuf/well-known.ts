/**
 * Between Google's well-known types and what JavaScript has. The shapes are those of the generated
 * `google/protobuf/*.ts`, named here so that this needs none of them.
 */

import { types } from "node:util";
import { decodeMessage, encodeMessage, type MessageType } from "./types.js";

/** `google.protobuf.Timestamp` and `google.protobuf.Duration`. */
export interface SecondsAndNanos {
  seconds: bigint;
  nanos: number;
}

const nanosPerMs = 1_000_000;

/** Throws `RangeError` for an invalid Date. */
export function timestampFromDate(date: Date): SecondsAndNanos {
  const ms = date.getTime();
  if (Number.isNaN(ms)) throw new RangeError("timestampFromDate: the Date is invalid");
  // Rounded down, since nanos count forward from the second also before 1970.
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * nanosPerMs };
}

/** `google.protobuf.Timestamp` as it is given for encoding; a `Date` is taken as well. */
export interface TimestampParts {
  readonly seconds?: bigint | number | undefined;
  readonly nanos?: number | undefined;
}

/** What a Timestamp field is given, a Date in seconds and nanoseconds. Throws `RangeError` for an invalid Date. */
export function timestampGiven(given: Date | TimestampParts): TimestampParts {
  // Not `instanceof`: a Date of another realm (a file's times, under a test runner that uses `vm`) is one as well.
  return types.isDate(given) ? timestampFromDate(given) : given;
}

/** Whole milliseconds: what is finer is cut off. Throws `RangeError` beyond what a Date can hold. */
export function timestampToDate({ seconds, nanos }: SecondsAndNanos): Date {
  const date = new Date(Number(seconds) * 1000 + Math.floor(nanos / nanosPerMs));
  if (Number.isNaN(date.getTime()))
    throw new RangeError(`timestampToDate: ${seconds} s is beyond what a Date holds`);
  return date;
}

/** `ms` may have a fraction. Throws `RangeError` unless it is finite. */
export function durationFromMs(ms: number): SecondsAndNanos {
  if (!Number.isFinite(ms)) throw new RangeError(`durationFromMs: ${ms} is no length of time`);
  const seconds = Math.trunc(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * nanosPerMs);
  // Rounding may fill the second; `+ 0` turns -0 into 0.
  if (Math.abs(nanos) >= 1e9) return { seconds: BigInt(seconds + Math.sign(nanos)), nanos: 0 };
  return { seconds: BigInt(seconds), nanos: nanos + 0 };
}

export function durationToMs({ seconds, nanos }: SecondsAndNanos): number {
  return Number(seconds) * 1000 + nanos / nanosPerMs;
}

/** `google.protobuf.Any`. */
export interface AnyMessage {
  typeUrl: string;
  value: Buffer;
}

const typeUrlPrefix = "type.googleapis.com/";

export function anyPack<In>(type: MessageType<unknown, In>, message: In): AnyMessage {
  return { typeUrl: typeUrlPrefix + type.typeName, value: encodeMessage(type, message) };
}

/** The message inside; undefined when it is of another type. Throws for bytes that are not this message. */
export function anyUnpack<Out>(
  type: MessageType<Out>,
  any: { readonly typeUrl: string; readonly value: Uint8Array },
): Out | undefined {
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  return name === type.typeName ? decodeMessage(type, any.value) : undefined;
}

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** JSON as it may be given: `undefined` counts as left out, and a bigint is a number of any size. */
export type JsonInput =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput | undefined };

/** `google.protobuf.Value`. */
export interface ValueMessage {
  kind:
    | { readonly case: "nullValue"; readonly value: number }
    | { readonly case: "numberValue"; readonly value: number }
    | { readonly case: "stringValue"; readonly value: string }
    | { readonly case: "boolValue"; readonly value: boolean }
    | { readonly case: "structValue"; readonly value: StructMessage }
    | { readonly case: "listValue"; readonly value: { values: ValueMessage[] } }
    | undefined;
}

/** `google.protobuf.Struct`. */
export interface StructMessage {
  fields: Map<string, ValueMessage>;
}

/** Keys whose value is undefined are left out, as JSON does. Throws `TypeError` for what JSON does not have. */
export function structFromJson(json: { readonly [key: string]: JsonValue | undefined }): StructMessage {
  const fields = new Map<string, ValueMessage>();
  for (const [key, value] of Object.entries(json)) {
    if (value !== undefined) fields.set(key, valueFromJson(value));
  }
  return { fields };
}

export function structToJson({ fields }: StructMessage): { [key: string]: JsonValue } {
  // fromEntries defines each key as the object's own, `__proto__` too.
  return Object.fromEntries(Array.from(fields, ([key, value]) => [key, valueToJson(value)]));
}

/** Throws `TypeError` for what JSON does not have. */
export function valueFromJson(json: JsonValue): ValueMessage {
  switch (typeof json) {
    case "string":
      return { kind: { case: "stringValue", value: json } };
    case "number":
      return { kind: { case: "numberValue", value: json } };
    case "boolean":
      return { kind: { case: "boolValue", value: json } };
    case "object":
      if (json === null) return { kind: { case: "nullValue", value: 0 } };
      if (Array.isArray(json))
        return { kind: { case: "listValue", value: { values: json.map(valueFromJson) } } };
      return { kind: { case: "structValue", value: structFromJson(json) } };
    default:
      throw new TypeError(`valueFromJson: ${typeof json} is no JSON value`);
  }
}

/** A Value without a kind, which a sender should not send, reads as null. */
export function valueToJson({ kind }: ValueMessage): JsonValue {
  if (kind === undefined) return null;
  switch (kind.case) {
    case "structValue":
      return structToJson(kind.value);
    case "listValue":
      return kind.value.values.map(valueToJson);
    case "nullValue":
      return null;
    default:
      return kind.value;
  }
}
