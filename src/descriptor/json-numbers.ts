import type { JsonInput, JsonValue } from "../protobuf/well-known.js";

/**
 * Numbers on their way from JSON into messages: each arrives exactly, or is refused with the name of its field. JSON.parse
 * and JSON.stringify round the whole numbers beyond 2^53 and make null of what is not finite, without a word.
 */

const longTypes: ReadonlySet<string> = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const intTypes: ReadonlySet<string> = new Set(["int32", "uint32", "sint32", "fixed32", "sfixed32"]);

/** Deeper JSON is no message: protobufjs goes 100 messages deep. */
const depthMax = 1000;

/** A number, or what it stands in place of: refused by `fail`, which throws, or as protobufjs takes it. */
export function exactNumber(value: unknown, type: string, fail: (text: string) => never): JsonValue {
  if (typeof value === "string" && (longTypes.has(type) || intTypes.has(type))) {
    // Text such as "1e19" is read as a number.
    if (/^[+-]?\d+$/.test(value) || !/^[+-]?[\d.]+(?:e[+-]?\d+)?$/i.test(value)) return value;
    checkSafe(Number(value), fail);
    return value;
  }
  if (typeof value !== "number" && typeof value !== "bigint") return value as JsonValue;
  if (longTypes.has(type) || intTypes.has(type)) {
    if (typeof value === "bigint") return String(value);
    checkSafe(value, fail);
    return value;
  }
  if (type === "float" || type === "double") return floating(value, fail);
  return typeof value === "bigint" ? fail(`expected ${type}, got the number ${value}`) : value;
}

/** What protobufjs refuses itself, such as 1.5 for an integer, is left to it. */
function checkSafe(value: number, fail: (text: string) => never): void {
  if (!Number.isFinite(value)) fail(`expected an integer, got ${value}`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    fail(
      `${value} may not be the number that was meant, since a number is exact up to 2^53: give it as text`,
    );
  }
}

function floating(value: number | bigint, fail: (text: string) => never): JsonValue {
  const number = Number(value);
  if (typeof value === "bigint" && !Number.isFinite(number))
    return fail(`${value} is beyond what a double can be`);
  return Number.isFinite(number) ? number : String(number);
}

/** In a JSON value within a message (`google.protobuf.Value`, `Struct`), whose numbers are doubles. */
export function valueNumbers(value: JsonInput, fail: (text: string) => never): JsonValue {
  if (typeof value === "number" && !Number.isFinite(value)) return fail(`JSON has no ${value}`);
  if (typeof value === "bigint") {
    const number = Number(value);
    // Or the digits that a double is written with, which are as few as tell it from its neighbours.
    if (String(number) === String(value)) return number;
    if (Number.isFinite(number) && BigInt(number) === value) return number;
    return fail(`${value} cannot be kept, since its numbers are doubles: give it as text`);
  }
  if (Array.isArray(value)) return value.map((one) => valueNumbers(one, fail));
  if (typeof value === "object" && value !== null) {
    // Object.fromEntries makes a property of a key like `__proto__`, too.
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, valueNumbers(one as JsonInput, fail)]),
    );
  }
  return value as JsonValue;
}

/**
 * A copy that is JSON for certain but for its numbers, which stay as they are, bigints among them: what has no place in
 * JSON is gone, as JSON.stringify does it, and the caller's own stays as it is.
 */
export function copyOf(value: unknown, key = "", depth = 0): JsonInput | undefined {
  if (depth > depthMax) throw new TypeError(`the JSON is nested more than ${depthMax} deep, or holds itself`);
  const plain = hasToJson(value) ? value.toJSON(key) : value;
  if (plain instanceof Number || plain instanceof String || plain instanceof Boolean) return plain.valueOf();
  if (Array.isArray(plain)) return plain.map((one, i) => copyOf(one, String(i), depth + 1) ?? null);
  switch (typeof plain) {
    case "string":
    case "number":
    case "bigint":
    case "boolean":
      return plain;
    case "object": {
      if (plain === null) return null;
      const entries = Object.entries(plain).map(
        ([name, one]) => [name, copyOf(one, name, depth + 1)] as const,
      );
      return Object.fromEntries(entries.filter(([, one]) => one !== undefined)) as {
        [key: string]: JsonInput;
      };
    }
    default:
      return undefined;
  }
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  return (
    typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function"
  );
}
