import { UsageError } from "./command.js";

/** JSON as `callJson` takes it: whole numbers that a `number` would round are bigints. */
export type ExactJson =
  | string
  | number
  | bigint
  | boolean
  | null
  | ExactJson[]
  | { [key: string]: ExactJson };

/** One piece of JSON behind its blanks. What stands between pieces was checked by JSON.parse. */
const token = /[\s,:]*(?:([[\]{}])|("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|(true|false|null))/y;

/**
 * As JSON.parse, but no number changes on the way: `9007199254740993` is a bigint, and one that no number reaches, such
 * as `1e400`, a `UsageError` that names where it stands. Throws `SyntaxError` for what is no JSON.
 */
export function parseExactJson(text: string): ExactJson {
  JSON.parse(text);
  return new ExactReader(text).value("");
}

class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(place: string): ExactJson {
    const [, bracket, quoted, digits, word] = this.#next();
    if (quoted !== undefined) return JSON.parse(quoted) as string;
    if (digits !== undefined) return exactNumber(digits, place);
    if (bracket === "[") return this.#list(place);
    if (bracket === "{") return this.#object(place);
    return JSON.parse(word as string) as boolean | null;
  }

  #next(): RegExpExecArray {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text) as RegExpExecArray;
    this.#at = token.lastIndex;
    return found;
  }

  /** Whether the bracket `close` is next, which is read then. */
  #closes(close: string): boolean {
    const before = this.#at;
    if (this.#next()[1] === close) return true;
    this.#at = before;
    return false;
  }

  #list(place: string): ExactJson[] {
    const result: ExactJson[] = [];
    while (!this.#closes("]")) result.push(this.value(`${place}[${result.length}]`));
    return result;
  }

  #object(place: string): { [key: string]: ExactJson } {
    const result: { [key: string]: ExactJson } = {};
    while (!this.#closes("}")) {
      const key = JSON.parse(this.#next()[2] as string) as string;
      const value = this.value(place === "" ? key : `${place}.${key}`);
      // Also for a key like `__proto__`.
      Object.defineProperty(result, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return result;
  }
}

function exactNumber(digits: string, place: string): number | bigint {
  const value = Number(digits);
  if (!Number.isFinite(value)) {
    const where = place === "" ? "the request" : place;
    throw new UsageError(`${where}: ${digits} is beyond what a number can be`);
  }
  return /^-?\d+$/.test(digits) && !Number.isSafeInteger(value) ? BigInt(digits) : value;
}
