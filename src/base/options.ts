import { didYouMean } from "./nearest.js";

/** Options of which each has a value: `undefined` counts as not given, whether it is written or not. */
export type Filled<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** `given` without what is `undefined`, to be laid over defaults. */
export function definedOf<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** What an option must be. */
export interface OptionRule {
  /** Ends the sentence "expected ...", with the limits in it: `an integer from 1 to 65535`. */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /**
   * Ends the sentence "got ..." for a value that is not accepted, where one part of it is at fault. Default
   * `describeValue`.
   */
  found?(value: unknown): string;
}

/** One rule an option, those without a default included. */
export type OptionRules<T extends object> = { readonly [K in keyof T]-?: OptionRule };

/**
 * The caller's options over the defaults, checked once: a new object, the caller's is neither kept nor changed. An
 * option given as `undefined` counts as not given.
 *
 * `owner` starts each message: `RpcChannel: option "timeoutMs": expected ..., got -1`. Throws `TypeError` for a value
 * of the wrong type and for an option that does not exist (with the nearest name), `RangeError` for a number out of
 * its limits.
 */
export function checkOptions<T extends object>(
  owner: string,
  given: { readonly [K in keyof T]?: T[K] | undefined } | undefined,
  defaults: T,
  rules: OptionRules<T>,
): T {
  const result = { ...defaults };
  if (given === undefined) return result;
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`${owner}: expected an object of options, got ${describeValue(given)}`);
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(rules, name)) {
      throw new TypeError(
        `${owner}: unknown option ${JSON.stringify(name)}${meant(name, Object.keys(rules))}`,
      );
    }
    const key = name as keyof T;
    const rule = rules[key];
    if (!rule.accepts(value)) throw badOption(owner, name, rule, value);
    result[key] = value as T[keyof T];
  }
  return result;
}

/** The nearest name, or, where none is near (a key of the conf, say), all there are. */
function meant(name: string, known: readonly string[]): string {
  return didYouMean(name, known) || `; the options are ${known.join(", ")}`;
}

function badOption(owner: string, name: string, rule: OptionRule, value: unknown): Error {
  const found = rule.found?.(value) ?? describeValue(value);
  const text = `${owner}: option "${name}": expected ${rule.expected}, got ${found}`;
  return typeof value === "number" ? new RangeError(text) : new TypeError(text);
}

/** A value as an error message shows it: short, and of objects the kind only, so that no secret slips out. */
export function describeValue(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) {
    const name: unknown = value.constructor?.name;
    return typeof name === "string" && name !== "" && name !== "Object"
      ? `${article(name)} ${name}`
      : "an object";
  }
  return String(value);
}

/** By the sound: an Error, an RpcError; a URL, a Uint8Array. */
function article(name: string): string {
  return /^(?:[AEIO]|Rpc|Mprpc)/.test(name) ? "an" : "a";
}

/** A whole number, limits included. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): OptionRule {
  const upTo = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    expected: `an integer ${upTo}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

/**
 * Any number between the limits, fractions allowed, NaN not. `Infinity` only when `max` is. A `min` of
 * `Number.MIN_VALUE` is how to say "above 0".
 */
export function number(min: number, max: number = Number.POSITIVE_INFINITY): OptionRule {
  const least = min === Number.MIN_VALUE ? "above 0" : `of at least ${min}`;
  return {
    expected: max === Number.POSITIVE_INFINITY ? `a number ${least}` : `a number from ${min} to ${max}`,
    accepts: (value) => typeof value === "number" && value >= min && value <= max,
  };
}

/** Milliseconds, at least `minMs`, fractions allowed; `Infinity` means never. */
export function durationMs(minMs = 0): OptionRule {
  return {
    expected: `milliseconds of at least ${minMs}, or Infinity`,
    accepts: (value) => typeof value === "number" && value >= minMs,
  };
}

export const boolean: OptionRule = {
  expected: "true or false",
  accepts: (value) => typeof value === "boolean",
};

/** Text of at least one character. */
export const text: OptionRule = {
  expected: "text that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};

export const bytes: OptionRule = {
  expected: "a Uint8Array that is not empty",
  accepts: (value) => value instanceof Uint8Array && value.length > 0,
};

export const callback: OptionRule = {
  expected: "a function",
  accepts: (value) => typeof value === "function",
};

export function oneOf(...allowed: ReadonlyArray<string | number | boolean>): OptionRule {
  return {
    expected: `one of ${allowed.map((value) => JSON.stringify(value)).join(", ")}`,
    accepts: (value) => allowed.some((one) => one === value),
  };
}

export function listOf(rule: OptionRule): OptionRule {
  return {
    expected: `an array, each item ${rule.expected}`,
    accepts: (value) => Array.isArray(value) && value.every((item) => rule.accepts(item)),
    found(value) {
      if (!Array.isArray(value)) return describeValue(value);
      const at = value.findIndex((item) => !rule.accepts(item));
      return `${rule.found?.(value[at]) ?? describeValue(value[at])} as item ${at}`;
    },
  };
}

export function either(one: OptionRule, other: OptionRule): OptionRule {
  return {
    expected: `${one.expected}, or ${other.expected}`,
    accepts: (value) => one.accepts(value) || other.accepts(value),
  };
}

/** An object with these methods: enough for what is passed in as an interface (a logger, a clock, a registry). */
export function having(...methods: readonly string[]): OptionRule {
  return {
    expected:
      methods.length === 0
        ? "an object"
        : `an object with ${methods.map((method) => `${method}()`).join(", ")}`,
    accepts: (value) => {
      if (typeof value !== "object" || value === null) return false;
      const members = value as Readonly<Record<string, unknown>>;
      return methods.every((method) => typeof members[method] === "function");
    },
  };
}
