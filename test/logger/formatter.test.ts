import { hostname } from "node:os";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { createFormatter } from "../../src/logger/formatter.js";

const wallMs = new Date(2025, 0, 2, 3, 4, 5, 678).getTime();

describe("classic", () => {
  const formatter = createFormatter("classic", ["pwd", "user.token"]);
  const line = (text: string, fields?: Record<string, unknown>) =>
    formatter.line("info", wallMs, text, fields);

  test("the line of the classic framework, and fields after it", () => {
    expect(line("ready")).toBe("03:04:05 => [info] ready\n");
    expect(formatter.line("error", wallMs + 1000, "no", { a: 1 })).toBe("03:04:06 => [error] no a=1\n");
    expect(line("served", { method: "fixbug.User.Login", ms: 1.5, ok: true, none: null })).toBe(
      "03:04:05 => [info] served method=fixbug.User.Login ms=1.5 ok=true none=null\n",
    );
  });

  test("a value that could be misread is quoted", () => {
    expect(line("t", { a: "two words", b: 'say "x"', c: "k=v", d: "", e: [1, "2"], "a key": 1 })).toBe(
      '03:04:05 => [info] t a="two words" b="say \\"x\\"" c="k=v" d="" e=[1,"2"] "a key"=1\n',
    );
  });

  test("neither text nor values can forge a line or steer a terminal", () => {
    expect(line("a\nb\u001b[31m", { v: "x\r\n03:04:05 => [info] forged", w: "\u009b1m\u2028" })).toBe(
      '03:04:05 => [info] a\\nb\\u001b[31m v="x\\r\\n03:04:05 => [info] forged" w="\\u009b1m\\u2028"\n',
    );
  });

  test("fields that bear the names pino uses are fields", () => {
    expect(line("t", { level: "high", time: 1, msg: "m", pid: 2 })).toBe(
      "03:04:05 => [info] t level=high time=1 msg=m pid=2\n",
    );
  });

  test("secrets are censored", () => {
    expect(line("login", { pwd: "123456", user: { token: "t", name: "zhang san" } })).toBe(
      '03:04:05 => [info] login pwd=[Redacted] user={"token":"[Redacted]","name":"zhang san"}\n',
    );
    expect(formatter.child({ pwd: "123456" }).line("info", wallMs, "t", undefined)).not.toContain("123456");
  });

  test("every kind of value, and a date as its text", () => {
    const values = { big: 12345678901234567890n, nan: Number.NaN, gone: undefined, f() {}, at: new Date(0) };
    expect(line("t", { ...values, deep: { id: 2n }, [Symbol("s")]: 1, s: Symbol("s") })).toBe(
      '03:04:05 => [info] t big=12345678901234567890 nan=null at=1970-01-01T00:00:00.000Z deep={"id":2}\n',
    );
  });

  test("an error given as the fields themselves is a field", () => {
    const error = new Error("wrong") as unknown as Record<string, unknown>;
    expect(line("t", error)).toContain(' err={"type":"Error","message":"wrong"');
  });

  test("strange keys do not spoil the values", () => {
    for (const key of ['a"b', "\\", "\ud800", "日本", "", " ", "__proto__"]) {
      const fields = Object.fromEntries([[key, { v: 1 }]]);
      expect(line("t", fields)).toMatch(/ t .+=\{"v":1\}\n$/);
    }
  });

  test("a secret is censored whatever its type", () => {
    for (const pwd of ["x", 1, true, 5n, { a: 1 }, null])
      expect(line("t", { pwd })).toContain(" t pwd=[Redacted]");
    const all = createFormatter("classic", ["*"]);
    expect(all.line("info", wallMs, "t", { a: 1, b: { c: 2 } })).toBe(
      "03:04:05 => [info] t a=[Redacted] b=[Redacted]\n",
    );
  });

  test("an error keeps its message, its stack and its line", () => {
    const error = new RpcError(Status.UNAVAILABLE, "no\nprovider");
    const text = line("call failed", { error });
    expect(text.split("\n")).toHaveLength(2);
    const shown = JSON.parse(text.slice(text.indexOf("error=") + 6));
    expect(shown.message).toBe(error.message);
    expect(shown.stack).toBe(error.stack);
  });

  test("children add up; the latest of two values wins", () => {
    const child = formatter.child({ service: "User", n: 1 }).child({ n: 2 });
    expect(child.line("warn", wallMs, "t", { z: 3 })).toBe("03:04:05 => [warn] t service=User n=2 z=3\n");
    expect(child.line("warn", wallMs, "t", undefined)).toBe("03:04:05 => [warn] t service=User n=2\n");
    expect(child.line("warn", wallMs, "t", { n: 33 })).toBe("03:04:05 => [warn] t service=User n=33\n");
  });

  test("what is written without pino reads as pino would have it", () => {
    const [plain, asked] = [[], ["somewhere.else"]].map((redact) => createFormatter("classic", redact));
    const element = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.boolean(),
      fc.constantFrom(null, undefined, -0),
      fc.array(fc.string(), { maxLength: 2 }),
    );
    const value = fc.oneof(element, fc.array(element, { maxLength: 3 }), fc.anything());
    const withKeys = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("err", "error", "cause")), value);
    const many = fc.array(fc.string(), { minLength: 98, maxLength: 103 }).map((list) => ({ list }));
    fc.assert(
      fc.property(fc.oneof(withKeys, many), (fields) => {
        const [mine, pinos] = [plain, asked].map((one) => {
          try {
            return one?.line("info", wallMs, "t", fields);
          } catch (error) {
            return String(error);
          }
        });
        expect(mine).toBe(pinos);
      }),
      { numRuns: 500 },
    );
  });

  test("is one line whatever it holds", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.jsonValue(),
      fc.bigInt(),
      fc.constant(undefined),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.dictionary(fc.string(), value), (text, fields) => {
        const made = line(text, fields);
        expect(made.indexOf("\n")).toBe(made.length - 1);
        expect(/[\p{Cc}\u2028\u2029]/u.test(made.slice(0, -1))).toBe(false);
      }),
    );
  });
});

describe("json", () => {
  const formatter = createFormatter("json", ["pwd", "*.token"]);
  const parsed = (text: string, fields?: Record<string, unknown>) =>
    JSON.parse(formatter.line("warn", wallMs, text, fields));

  test("a line is pino's", () => {
    expect(parsed("text %s %d", { a: 1n, b: undefined, c: { d: [1] } })).toEqual({
      level: 40,
      time: wallMs,
      pid: process.pid,
      hostname: hostname(),
      a: 1,
      c: { d: [1] },
      msg: "text %s %d",
    });
    expect(parsed("50 %", undefined).msg).toBe("50 %");
  });

  test("secrets are censored, in bound fields too, and the caller's object is left alone", () => {
    const fields = { pwd: "x", user: { token: "y" } };
    expect(parsed("t", fields)).toMatchObject({ pwd: "[Redacted]", user: { token: "[Redacted]" } });
    expect(fields).toEqual({ pwd: "x", user: { token: "y" } });
    const child = formatter.child({ session: { token: "z" } });
    expect(JSON.parse(child.line("info", wallMs, "t", undefined)).session).toEqual({ token: "[Redacted]" });
  });

  test("circles and errors are no trouble", () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    expect(parsed("t", { circle }).circle).toEqual({ self: { self: "[Circular]" } });
    expect(parsed("t", { err: new Error("e1"), error: new TypeError("e2") })).toMatchObject({
      err: { type: "Error", message: "e1" },
      error: { type: "TypeError", message: "e2" },
    });
  });
});
