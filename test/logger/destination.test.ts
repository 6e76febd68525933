import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDestination, type Destination, type FileOptions } from "../../src/logger/destination.js";
import { tempDir } from "./support.js";

const day = 20250103;

function fileIn(dir: string, options: Partial<FileOptions> = {}): Destination {
  return createDestination({
    kind: "file",
    dir,
    pattern: "YYYY-M-D.log",
    maxBytes: 0,
    maxFiles: 3,
    ...options,
  });
}

function writeAll(destination: Destination, text: string, onDay = day): void {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) offset = destination.write(bytes, offset, onDay);
}

function filesOf(dir: string): Record<string, string> {
  const names = readdirSync(dir).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

describe("files", () => {
  test("one per day, appended to", () => {
    const dir = tempDir();
    writeAll(fileIn(dir), "one\n");
    const destination = fileIn(dir);
    writeAll(destination, "two\n");
    writeAll(destination, "next day\n", 20250104);
    writeAll(destination, "late\n");
    expect(filesOf(dir)).toEqual({ "2025-1-3.log": "one\ntwo\nlate\n", "2025-1-4.log": "next day\n" });
  });

  test("are rotated before they grow beyond the limit, and the oldest goes", () => {
    const dir = tempDir();
    const destination = fileIn(dir, { maxBytes: 8, maxFiles: 2 });
    for (let n = 1; n <= 7; n += 1) writeAll(destination, `l-${n}\n`);
    expect(filesOf(dir)).toEqual({
      "2025-1-3.log": "l-7\n",
      "2025-1-3.log.1": "l-5\nl-6\n",
      "2025-1-3.log.2": "l-3\nl-4\n",
    });
  });

  test("a batch is split between lines only; a line beyond the limit has a file of its own", () => {
    const dir = tempDir();
    const destination = fileIn(dir, { maxBytes: 8, maxFiles: 9 });
    writeAll(destination, "a\nbb\nccc\na line that is too long\ndd\n");
    expect(filesOf(dir)).toEqual({
      "2025-1-3.log": "dd\n",
      "2025-1-3.log.1": "a line that is too long\n",
      "2025-1-3.log.2": "ccc\n",
      "2025-1-3.log.3": "a\nbb\n",
    });
  });

  test("no file passes the limit and no line is lost, whatever the lines", () => {
    const lines = fc.array(fc.string({ maxLength: 30 }).map((text) => `${text.replaceAll("\n", "")}\n`));
    fc.assert(
      fc.property(
        fc.array(lines, { maxLength: 8 }),
        fc.integer({ min: 1, max: 200 }),
        (batches, maxBytes) => {
          const dir = join(tempDir(), "logs");
          const destination = fileIn(dir, { maxBytes, maxFiles: 1000 });
          for (const batch of batches) writeAll(destination, batch.join(""));
          const names = existsSync(dir) ? readdirSync(dir) : [];
          const age = (name: string) => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0);
          const texts = names
            .sort((a, b) => age(b) - age(a))
            .map((name) => readFileSync(join(dir, name), "utf8"));
          expect(texts.join("")).toBe(batches.flat().join(""));
          for (const text of texts) {
            const single = text.indexOf("\n") === text.length - 1;
            expect(single || Buffer.byteLength(text) <= maxBytes).toBe(true);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("that cannot be rotated are written on", () => {
    const dir = tempDir();
    // A folder that is not empty cannot be replaced by a file.
    mkdirSync(join(dir, "2025-1-3.log.1", "x"), { recursive: true });
    const destination = fileIn(dir, { maxBytes: 4, maxFiles: 1 });
    for (const line of ["one\n", "two\n", "three\n"]) writeAll(destination, line);
    expect(readFileSync(join(dir, "2025-1-3.log"), "utf8")).toBe("one\ntwo\nthree\n");
  });

  test("removed or renamed by somebody else are begun anew", () => {
    const dir = tempDir();
    const path = join(dir, "2025-1-3.log");
    const destination = fileIn(dir);
    writeAll(destination, "one\n");
    renameSync(path, join(dir, "kept"));
    writeAll(destination, "two\n");
    rmSync(path);
    writeAll(destination, "three\n");
    expect(filesOf(dir)).toEqual({ kept: "one\n", "2025-1-3.log": "three\n" });
  });

  test("left with half a line by a killed process get its end first", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "2025-1-3.log"), "whole\nhal");
    writeAll(fileIn(dir), "mine\n");
    expect(filesOf(dir)).toEqual({ "2025-1-3.log": "whole\nhal\nmine\n" });
  });
});

describe("half a line was written", () => {
  const bytes = Buffer.from("first\nsecond\nthird\n");
  const middle = 9;

  test("by another writer of the same text: goes on at that byte", () => {
    const dir = tempDir();
    appendFileSync(join(dir, "2025-1-3.log"), bytes.subarray(0, middle));
    const destination = fileIn(dir);
    expect(destination.write(bytes, middle, day)).toBe(bytes.length);
    expect(filesOf(dir)).toEqual({ "2025-1-3.log": "first\nsecond\nthird\n" });
  });

  test("and the limit is reached: ends the line where it began", () => {
    const dir = tempDir();
    appendFileSync(join(dir, "2025-1-3.log"), bytes.subarray(0, middle));
    const destination = fileIn(dir, { maxBytes: 10 });
    for (let offset = middle; offset < bytes.length; ) offset = destination.write(bytes, offset, day);
    expect(filesOf(dir)).toEqual({ "2025-1-3.log": "third\n", "2025-1-3.log.1": "first\nsecond\n" });
  });

  test.each([
    ["removed", (path: string) => rmSync(path)],
    ["emptied", (path: string) => truncateSync(path)],
  ])("and the file was %s meanwhile: the line is written whole", (_, spoil) => {
    const dir = tempDir();
    const path = join(dir, "2025-1-3.log");
    const destination = fileIn(dir);
    // The destination has the file open, as it would after a write that came to half a line.
    expect(destination.write(bytes.subarray(0, middle), 0, day)).toBe(middle);
    spoil(path);
    for (let offset = middle; offset < bytes.length; ) offset = destination.write(bytes, offset, day);
    expect(filesOf(dir)).toEqual({ "2025-1-3.log": "second\nthird\n" });
  });
});
