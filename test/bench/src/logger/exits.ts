import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { programFile } from "../child.js";
import type { Data } from "../report/data.js";
import { lineText, logFile, type SubjectName, subjectNames } from "./subjects.js";

const ends = ["process.exit()", "uncaught exception", "SIGTERM"] as const;

/** How many of `count` lines a process that ended so has left in the file: whole ones, in order, each once. */
async function linesLeft(name: SubjectName, end: string, count: number): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-exit-"));
  try {
    // Node prints an uncaught exception, which is on purpose here.
    const child = spawn(process.execPath, [programFile("logger/child"), name, folder, end, String(count)], {
      stdio: "ignore",
    });
    await once(child, "exit");
    const lines = readFileSync(logFile(folder), "utf8").split("\n");
    // The last piece is what stands behind the last line end: half a line, or nothing.
    return lines.slice(0, -1).filter((line) => line.includes(lineText)).length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What of `count` lines is lost when the process ends right after logging them. */
export async function exitTable(count: number, names: readonly SubjectName[] = subjectNames): Promise<Data> {
  const rows: (string | number)[][] = [];
  for (const name of names) {
    // At once: nothing is timed here.
    const left = await Promise.all(ends.map((end) => linesLeft(name, end, count)));
    ends.forEach((end, at) => {
      const lines = left[at] ?? 0;
      rows.push([name, end, count, lines, count - lines]);
    });
  }
  return {
    title: "Lines in the file after the process ended right behind the last log call",
    columns: ["", "end", "logged", "in the file", "lost"],
    rows,
  };
}
