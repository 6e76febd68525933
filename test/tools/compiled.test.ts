import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { compiled } from "./compiled.js";

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));
let folder: string;
let program: URL;

/** A program that prints a word of a module beside it, and where its source is. */
beforeEach(() => {
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(path.join(cache, "compiled-test-"));
  program = pathToFileURL(path.join(folder, "program.ts"));
  writeFileSync(program, 'import { word } from "./word.js";\nconsole.log(word, import.meta.url);\n');
  say("first");
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
    const programs = path.join(cache, "programs");
    for (const name of readdirSync(programs))
      if (name.includes(path.basename(folder))) rmSync(path.join(programs, name), { recursive: true });
  });
});

function say(word: string): void {
  writeFileSync(path.join(folder, "word.ts"), `export const word: string = ${JSON.stringify(word)};\n`);
}

const run = (file: string): string => execFileSync(process.execPath, [file], { encoding: "utf8" });

test("a program runs as its source would, and is made once", () => {
  const file = compiled(program);
  expect(run(file)).toBe(`first ${program.href}\n`);
  expect(compiled(program)).toBe(file);
});

test("it is made anew when a file that it imports has changed, and what was made before still runs", () => {
  const file = compiled(program);
  say("second");
  expect(run(compiled(program))).toBe(`second ${program.href}\n`);
  expect(run(file)).toBe(`first ${program.href}\n`);
});

test("what the compiler finds wrong is told", () => {
  writeFileSync(path.join(folder, "word.ts"), "export const word = ;\n");
  expect(() => compiled(program)).toThrow(/word\.ts:1:20: ERROR: Unexpected ";"/);
});
