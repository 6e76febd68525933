import { expect, test } from "vitest";
import { printable, printableLines } from "../../src/base/printable.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";

const hostile = "a\u001b[2J\u009b1m\u007f\r\n\tb\u2028\u2029\u202e\u2066\u200f\ufeffc";
const shown = "a\\u001b[2J\\u009b1m\\u007f\\r\\n\\tb\\u2028\\u2029\\u202e\\u2066\\u200f\\ufeffc";

test("what steers a terminal, ends a line or turns text round becomes JSON's escapes; all else stays", () => {
  expect(printable(hostile)).toBe(shown);
  expect(JSON.parse(`"${printable(hostile)}"`)).toBe(hostile);
  const text = "张三 says “x” 👩‍👩‍👧 שלום \\u001b";
  expect(printable(text)).toBe(text);
  expect(printableLines("a\nb\u001b")).toBe("a\nb\\u001b");
});

test("an RpcError's message is for people, its rawMessage is the text as it came", () => {
  const error = new RpcError(Status.ABORTED, hostile, {}, { endpoint: "x\ny" });
  expect(error.message).toBe(`[aborted] ${shown} (at x\\ny)`);
  expect(error.rawMessage).toBe(hostile);
  expect(error.with({ attempts: 1 })).toMatchObject({
    message: `[aborted] ${shown} (at x\\ny, 1 attempt)`,
    rawMessage: hostile,
  });
  expect(error.stack?.split("\n")[0]).toBe(`RpcError: ${error.message}`);
});
