import { messages } from "../error/messages.js";
import { JsonMappingError } from "./json-error.js";

/** JSON whose numbers are as the text has them: whole numbers that a `number` would round are bigints. */
export type ExactJson =
  | string
  | number
  | bigint
  | boolean
  | null
  | ExactJson[]
  | { [key: string]: ExactJson };

/** Deeper JSON is no message: one goes 100 messages deep. */
const depthMax = 1000;

/** A number, a word or a bracket behind its blanks. What stands between pieces was checked by JSON.parse. */
const token = /[\s,:]*([[\]{}"]|-?\d[\d.eE+-]*|true|false|null)/y;

/**
 * As JSON.parse, with what it does not see: `9007199254740993` is a bigint, and a number that none reaches, such as `1e400`,
 * or a key that stands twice in one object a `JsonMappingError` that names where it stands. Throws `SyntaxError` for what
 * is no JSON.
 */
export function parseExactJson(text: string): ExactJson {
  JSON.parse(text);
  return new ExactReader(text).value("", 0);
}

class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(place: string, depth: number): ExactJson {
    if (depth > depthMax) throw new JsonMappingError(messages.jsonTextTooDeep(depthMax));
    const piece = this.#next();
    if (piece === '"') return this.#string();
    if (piece === "[") return this.#list(place, depth);
    if (piece === "{") return this.#object(place, depth);
    if (/^[tfn]/.test(piece)) return JSON.parse(piece) as boolean | null;
    return exactNumber(piece, place);
  }

  #next(): string {
    token.lastIndex = this.#at;
    const [, piece] = token.exec(this.#text) as unknown as [string, string];
    this.#at = token.lastIndex;
    return piece;
  }

  /** Whether the bracket `close` is next, which is read then. */
  #closes(close: string): boolean {
    const before = this.#at;
    if (this.#next() === close) return true;
    this.#at = before;
    return false;
  }

  /** Behind its opening quote. Not by a pattern: those have no room for a string of some MB. */
  #string(): string {
    const start = this.#at - 1;
    for (let end = this.#text.indexOf('"', this.#at); ; end = this.#text.indexOf('"', end + 1)) {
      let backslashes = 0;
      while (this.#text[end - 1 - backslashes] === "\\") backslashes++;
      if (backslashes % 2 === 1) continue;
      this.#at = end + 1;
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    }
  }

  #list(place: string, depth: number): ExactJson[] {
    const result: ExactJson[] = [];
    while (!this.#closes("]")) result.push(this.value(`${place}[${result.length}]`, depth + 1));
    return result;
  }

  #object(place: string, depth: number): { [key: string]: ExactJson } {
    const result: { [key: string]: ExactJson } = {};
    while (!this.#closes("}")) {
      this.#next();
      const key = this.#string();
      const there = place === "" ? key : `${place}.${key}`;
      if (Object.hasOwn(result, key)) throw new JsonMappingError(messages.jsonKeyTwice(there));
      const value = this.value(there, depth + 1);
      // Also for a key like `__proto__`.
      Object.defineProperty(result, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return result;
  }
}

function exactNumber(digits: string, place: string): number | bigint {
  const value = Number(digits);
  if (!Number.isFinite(value)) throw new JsonMappingError(messages.jsonNumberTooLarge(place, digits));
  return /^-?\d+$/.test(digits) && !Number.isSafeInteger(value) ? BigInt(digits) : value;
}

/** As JSON.stringify with `indent` blanks a level, but -0 keeps its sign, and a bigint is its digits. */
export function writeExactJson(value: ExactJson, indent = 0, outer = ""): string {
  if (typeof value === "bigint") return String(value);
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = outer + " ".repeat(indent);
  const parts = Array.isArray(value)
    ? value.map((one) => writeExactJson(one, indent, inner))
    : Object.entries(value).map(
        ([key, one]) =>
          `${JSON.stringify(key)}:${indent > 0 ? " " : ""}${writeExactJson(one, indent, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (parts.length === 0 || indent === 0) return `${open}${parts.join(",")}${close}`;
  return `${open}\n${parts.map((part) => inner + part).join(",\n")}\n${outer}${close}`;
}
