import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { createLogger } from "mprpc";
import { pino } from "pino";
import type { Data } from "../report/data.js";
import { median } from "../report.js";
import { lineFields, lineText, logFile, openSubject, type Subject, subjectNames } from "./subjects.js";

/** Lines logged in one turn of the event loop. */
const burst = 100;

interface Sample {
  /** Nanoseconds inside the log calls, a line. */
  callNs: number;
  /** Nanoseconds the calling thread was busy, a line: the log calls, handing over, flushing. */
  threadNs: number;
  /** Until the last line is in the file. */
  linesPerSecond: number;
}

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Resolves when the file is of that size; looked at again and again, since a worker thread of pino does not say. */
async function grown(file: string, bytes: number): Promise<void> {
  while (sizeOf(file) < bytes) await wait(1);
}

/** Logs `bursts` bursts; `written` resolves when all of them are in the file. */
async function measure(
  log: (n: number) => void,
  bursts: number,
  written: () => Promise<void>,
): Promise<Sample> {
  const before = performance.eventLoopUtilization();
  const startMs = performance.now();
  let callMs = 0;
  for (let turn = 0; turn < bursts; turn += 1) {
    await nextTurn();
    const from = performance.now();
    for (let n = 0; n < burst; n += 1) log(n);
    callMs += performance.now() - from;
  }
  await nextTurn();
  const { active } = performance.eventLoopUtilization(before);
  await written();
  const elapsedMs = performance.now() - startMs;
  const lines = bursts * burst;
  return {
    callNs: (callMs * 1e6) / lines,
    threadNs: (active * 1e6) / lines,
    linesPerSecond: (lines * 1000) / elapsedMs,
  };
}

interface Case {
  name: string;
  round(bursts: number): Promise<Sample>;
  close(): Promise<void>;
}

/** A line that is below the level. */
function levelOff(): Case[] {
  const nowhere = { write() {} };
  const logger = createLogger({ level: "warn" });
  const quiet = pino({ level: "warn" }, nowhere);
  const none = async () => {};
  return [
    {
      name: "mprpc, level off",
      round: (bursts) => measure((n) => logger.info(lineText, lineFields(n)), bursts, none),
      close: () => logger.close(),
    },
    {
      name: "pino, level off",
      round: (bursts) => measure((n) => quiet.info(lineFields(n), lineText), bursts, none),
      close: none,
    },
  ];
}

/** A logger whose first line is in its file: the thread has started, and the length of a line is known. */
async function started(subject: Subject, name: string, folder: string): Promise<Case> {
  const file = logFile(folder);
  subject.info(lineText, lineFields(0));
  await subject.flush();
  await grown(file, 1);
  const lineBytes = sizeOf(file);
  return {
    name,
    async round(bursts) {
      const wholeBytes = sizeOf(file) + bursts * burst * lineBytes;
      return measure(
        (n) => subject.info(lineText, lineFields(n)),
        bursts,
        async () => {
          await subject.flush();
          await grown(file, wholeBytes);
        },
      );
    },
    close: () => subject.close(),
  };
}

/** What a log call costs and how many lines a second reach the file, beside bare pino; rounds in turns. */
export async function throughputTable(rounds: number, bursts: number): Promise<Data> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-logger-"));
  const cases = levelOff();
  try {
    for (const [at, name] of subjectNames.entries()) {
      const own = mkdtempSync(path.join(folder, `${at}-`));
      cases.push(await started(openSubject(name, own), name, own));
    }
    const samples = cases.map((): Sample[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [at, one] of cases.entries()) samples[at]?.push(await one.round(bursts));
    }
    const medianOf = (at: number, key: keyof Sample) => median((samples[at] ?? []).map((one) => one[key]));
    return {
      title: `Log lines with three fields, ${burst} in each turn of the event loop`,
      columns: ["", "in the call, ns", "main thread, µs/line", "lines/s into the file"],
      rows: cases.map(({ name }, at) => [
        name,
        medianOf(at, "callNs"),
        medianOf(at, "threadNs") / 1000,
        name.endsWith("off") ? null : medianOf(at, "linesPerSecond"),
      ]),
    };
  } finally {
    for (const one of cases) await one.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
