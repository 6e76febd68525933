import { describe, expect, test } from "vitest";
import * as rule from "../../src/base/options.js";

interface PoolOptions {
  size: number;
  timeoutMs: number;
  mode: "fast" | "safe";
  weight?: number;
  hooks?: ReadonlyArray<() => void>;
  onError?: (error: unknown) => void;
}

const defaults: PoolOptions = { size: 1, timeoutMs: 5000, mode: "fast" };

function check(given?: object): PoolOptions {
  return rule.checkOptions<PoolOptions>("Pool", given, defaults, {
    size: rule.integer(1, 8),
    timeoutMs: rule.durationMs(1),
    mode: rule.oneOf("fast", "safe"),
    weight: rule.number(Number.MIN_VALUE),
    hooks: rule.listOf(rule.callback),
    onError: rule.callback,
  });
}

describe("checkOptions", () => {
  test("the defaults, as a new object", () => {
    expect(check()).toEqual(defaults);
    expect(check()).not.toBe(defaults);
  });

  test("what is given beats the defaults; undefined counts as not given", () => {
    const given = Object.freeze({ size: 8, timeoutMs: Number.POSITIVE_INFINITY, mode: undefined });
    expect(check(given)).toEqual({ size: 8, timeoutMs: Number.POSITIVE_INFINITY, mode: "fast" });
  });

  test("an option without a default is kept when given", () => {
    const onError = () => {};
    expect(check({ onError }).onError).toBe(onError);
    expect("onError" in check({ onError: undefined })).toBe(false);
  });

  test.each([
    [{ size: 9 }, RangeError, 'Pool: option "size": expected an integer from 1 to 8, got 9'],
    [{ size: 1.5 }, RangeError, 'Pool: option "size": expected an integer from 1 to 8, got 1.5'],
    [{ size: "2" }, TypeError, 'Pool: option "size": expected an integer from 1 to 8, got "2"'],
    [
      { timeoutMs: 0 },
      RangeError,
      'Pool: option "timeoutMs": expected milliseconds of at least 1, or Infinity, got 0',
    ],
    [{ timeoutMs: Number.NaN }, RangeError, /got NaN$/],
    [{ mode: "slow" }, TypeError, 'Pool: option "mode": expected one of "fast", "safe", got "slow"'],
    [{ mode: null }, TypeError, /got null$/],
    [
      { onError: { secret: "hunter2" } },
      TypeError,
      'Pool: option "onError": expected a function, got an object',
    ],
    [{ weight: -1 }, RangeError, 'Pool: option "weight": expected a number above 0, got -1'],
    [{ weight: 0 }, RangeError, 'Pool: option "weight": expected a number above 0, got 0'],
    [
      { hooks: [() => {}, 5] },
      TypeError,
      'Pool: option "hooks": expected an array, each item a function, got 5 as item 1',
    ],
    [{ hooks: 5 }, RangeError, 'Pool: option "hooks": expected an array, each item a function, got 5'],
    [{ timeoutMS: 3 }, TypeError, 'Pool: unknown option "timeoutMS"; did you mean "timeoutMs"?'],
    [{ colour: 3 }, TypeError, /^Pool: unknown option "colour"; the options are size, timeoutMs, mode, /],
  ])("%o is refused", (given, type, message) => {
    expect(() => check(given)).toThrow(type);
    expect(() => check(given)).toThrow(message);
  });

  test("something else than an object is refused", () => {
    expect(() => check("fast" as unknown as object)).toThrow(
      'Pool: expected an object of options, got "fast"',
    );
    expect(() => check(null as unknown as object)).toThrow("Pool: expected an object of options, got null");
  });

  test("a __proto__ key pollutes nothing", () => {
    expect(() => check(JSON.parse('{"__proto__": {"size": 3}}'))).toThrow('unknown option "__proto__"');
    expect(({} as { size?: number }).size).toBeUndefined();
  });
});

describe("rules", () => {
  test.each([
    ["integer", rule.integer(0), [0, 7], [-1, 0.5, "1", Number.POSITIVE_INFINITY]],
    ["number", rule.number(0, 1), [0, 0.5, 1], [-0.1, 1.1, Number.NaN, "0"]],
    ["number without a maximum", rule.number(0), [0, Number.POSITIVE_INFINITY], [-1]],
    ["number above 0", rule.number(Number.MIN_VALUE), [Number.MIN_VALUE, 1], [0, -1]],
    ["boolean", rule.boolean, [true, false], [0, "true", undefined]],
    ["text", rule.text, ["a"], ["", 1]],
    ["listOf", rule.listOf(rule.text), [[], ["a"]], ["a", [""], [1]]],
    ["having", rule.having("now"), [{ now: () => 0 }], [{}, null, () => 0, { now: 0 }]],
  ])("%s", (_name, one, good, bad) => {
    for (const value of good) expect(one.accepts(value), String(value)).toBe(true);
    for (const value of bad) expect(one.accepts(value), String(value)).toBe(false);
    expect(one.expected).not.toBe("");
  });
});

test.each([
  ["x".repeat(100), `"${"x".repeat(40)}..."`],
  [[1, 2], "an array"],
  [new Map(), "a Map"],
  [Object.create(null), "an object"],
  [() => 1, "a function"],
  [12n, "12"],
  [Symbol("s"), "Symbol(s)"],
  [undefined, "undefined"],
])("describeValue(%o)", (value, text) => {
  expect(rule.describeValue(value)).toBe(text);
});
