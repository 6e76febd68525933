import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/count-tests.mjs", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-count-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function report(name: string, numPassedTests: number, testResults: object[]): void {
  writeFileSync(path.join(folder, `${name}.json`), JSON.stringify({ numPassedTests, testResults }));
}

function count(...names: string[]): string[] {
  const printed = execFileSync(process.execPath, [script, folder, ...names], { encoding: "utf8" });
  return printed.trimEnd().split("\n");
}

const passed = { status: "passed", fullName: "adds", failureMessages: [] };
const file = (name: string, rest: object): object => ({ name: path.resolve(name), message: "", ...rest });

test("names each failed test, with the beginning of its message, before the counts of all reports", () => {
  const failed = {
    status: "failed",
    fullName: "sums adds 1",
    failureMessages: ["Error: 3\n at a\n at b\n at c\n at d"],
  };
  report("all", 7, [file("test/a.test.ts", { status: "failed", assertionResults: [passed, failed] })]);
  report("node-22", 2, [file("test/b.test.ts", { status: "passed", assertionResults: [passed] })]);

  expect(count("all", "node-22")).toEqual([
    "== failed: all: test/a.test.ts > sums adds 1",
    ...["   Error: 3", "    at a", "    at b", "    at c"],
    "9 passed, 1 failed",
  ]);
});

test("a file that does not load counts as one failure, and so does a report that is not there", () => {
  const broken = { status: "failed", message: "SyntaxError: no", assertionResults: [] };
  report("all", 0, [file("test/a.test.ts", broken)]);

  const lines = count("all", "node-22");

  expect(lines.slice(0, 2)).toEqual([
    "== failed: all: test/a.test.ts > outside of its tests",
    "   SyntaxError: no",
  ]);
  expect(lines[2]).toBe("== failed: node-22 > no report");
  expect(lines.at(-1)).toBe("0 passed, 2 failed");
});
