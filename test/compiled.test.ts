import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const inRepository = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

test("a test program is compiled from any folder, as the benchmarks of a workspace do", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-compiled-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const note = path.join(folder, "note.json");
  const program = inRepository("logger/child.ts");
  const args = [inRepository("tools/compile-program.mjs"), program, path.join(folder, "out"), note];
  await promisify(execFile)(process.execPath, args, { cwd: folder });
  const { main, inputs } = JSON.parse(readFileSync(note, "utf8")) as {
    main: string;
    inputs: Record<string, string>;
  };
  expect(main).toBe(path.join(folder, "out/main.js"));
  // The code of the logger's thread is found by its name in the repository.
  expect(Object.keys(inputs)).toContain("src/logger/writer-worker.ts");
});
