import { existsSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LoggerOptions } from "../../src/logger/options.js";
import type { LoggerStats } from "../../src/logger/queue-logger.js";
import {
  compileChild,
  numbersOf,
  Running,
  readLog,
  sourceChild,
  splitLines,
  tempDir,
  upTo,
} from "./support.js";

let compiled: { dir: string; program: string };
beforeAll(async () => {
  compiled = await compileChild();
});
afterAll(() => {
  rmSync(compiled.dir, { recursive: true, force: true });
});

function start(
  scenario: string,
  dir: string,
  options: LoggerOptions = {},
  env: NodeJS.ProcessEnv = {},
): Running {
  return new Running(process.execPath, [compiled.program, scenario, dir, JSON.stringify(options)], env);
}

function statsOf(stdout: string): LoggerStats[] {
  return splitLines(stdout).lines.map((line) => JSON.parse(line));
}

function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe("the end of a process loses nothing and writes nothing twice", () => {
  test.each([
    ["natural", 0, 50_000],
    ["thread", 0, 50_000],
    ["exitAtOnce", 3, 1000],
    ["exitBusy", 3, 50_001],
    ["exitListeners", 0, 26],
  ])("%s", async (scenario, code, count) => {
    const dir = tempDir();
    expect(await start(scenario, dir).ended()).toEqual({ code, signal: null, stdout: "", stderr: "" });
    const { lines, rest } = readLog(dir);
    expect(rest).toBe("");
    expect(numbersOf(lines)).toEqual(upTo(count));
  });

  test("the worker is caught at many different moments", async () => {
    for (let round = 0; round < 6; round += 1) {
      const dir = tempDir();
      expect((await start("exitBusy", dir).ended()).code).toBe(3);
      expect(numbersOf(readLog(dir).lines)).toEqual(upTo(50_001));
    }
  });

  test("run from the sources, worker included", async () => {
    const dir = tempDir();
    const child = new Running(process.execPath, [...sourceChild, "exitBusy", dir]);
    expect(await child.ended()).toEqual({ code: 3, signal: null, stdout: "", stderr: "" });
    expect(numbersOf(readLog(dir).lines)).toEqual(upTo(50_001));
  });

  test.each([
    ["uncaught", "nobody catches this", "uncaughtException", 20_001],
    ["rejected", "nobody awaits this", "unhandledRejection", 20_000],
  ])("%s", async (scenario, message, origin, count) => {
    for (const exitHandlers of [false, true]) {
      const dir = tempDir();
      const { code, stderr } = await start(scenario, dir, { exitHandlers }).ended();
      expect(code).toBe(1);
      expect(stderr).toContain(message);
      const { lines } = readLog(dir);
      expect(numbersOf(lines)).toEqual(upTo(count));
      expect(lines.length).toBe(exitHandlers ? count + 1 : count);
      if (exitHandlers) {
        const last = JSON.parse(lines.at(-1) as string);
        expect(last).toMatchObject({ level: 60, msg: "uncaught exception", origin, err: { message } });
      }
    }
  });

  test("a signal, with two loggers that both handle it", async () => {
    const dir = tempDir();
    const second = `${dir}2`;
    const { code, signal } = await start("signalled", dir).ended();
    expect([code, signal]).toEqual([null, "SIGTERM"]);
    expect(numbersOf(readLog(dir).lines)).toEqual(upTo(50_001));
    expect(numbersOf(readLog(second).lines)).toEqual([0]);
    rmSync(second, { recursive: true });
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const)("%s from outside", async (name) => {
    const dir = tempDir();
    const child = start("endless", dir, { exitHandlers: true });
    await child.saying("ready");
    child.process.kill(name);
    expect((await child.ended()).signal).toBe(name);
    const { lines, rest } = readLog(dir);
    expect(rest).toBe("");
    expect(numbersOf(lines)).toEqual(upTo(lines.length));
  });

  test("a signal the application handles itself is left to it", async () => {
    const dir = tempDir();
    const child = start("ownListener", dir);
    await child.saying("ready");
    child.process.kill("SIGTERM");
    expect(await child.ended()).toMatchObject({ code: 0, signal: null, stderr: "" });
    expect(numbersOf(readLog(dir).lines)).toEqual([0, 1, 2]);
  });

  test("SIGKILL leaves a prefix of what was logged", async () => {
    const dir = tempDir();
    const child = start("endless", dir);
    await child.saying("ready");
    child.process.kill("SIGKILL");
    expect((await child.ended()).signal).toBe("SIGKILL");
    const { lines } = readLog(dir);
    expect(lines.length).toBeGreaterThanOrEqual(1000);
    expect(numbersOf(lines)).toEqual(upTo(lines.length));
  });

  test("without its worker the calling thread writes", async () => {
    const other = await compileChild();
    try {
      unlinkSync(join(other.dir, "out/src/logger/writer-worker.js"));
      const dir = tempDir();
      const child = new Running(process.execPath, [other.program, "exitBusy", dir]);
      const { code, stderr } = await child.ended();
      expect(code).toBe(3);
      expect(occurrences(stderr, "the writer thread is lost")).toBe(1);
      expect(numbersOf(readLog(dir).lines)).toEqual(upTo(50_001));
    } finally {
      rmSync(other.dir, { recursive: true, force: true });
    }
  });
});

describe("a destination that fails", () => {
  test("a path beneath a regular file: told once, counted, no crash", async () => {
    const file = join(tempDir(), "plain");
    writeFileSync(file, "");
    const { code, stdout, stderr } = await start("failing", join(file, "logs"), { queueLimit: 100 }).ended();
    expect(code).toBe(0);
    expect(occurrences(stderr, "ENOTDIR")).toBe(1);
    expect(stderr).toContain(join(file, "logs"));
    const [before, after] = statsOf(stdout);
    expect(before).toMatchObject({ written: 0, failing: true });
    expect(before?.enqueued).toBe((before?.dropped ?? 0) + (before?.queued ?? 0));
    expect(before?.dropped).toBeGreaterThan(0);
    expect(after).toMatchObject({
      enqueued: before?.enqueued,
      dropped: before?.enqueued,
      written: 0,
      queued: 0,
    });
    expect(stderr).toContain("are lost");
  });

  test.each(["drop-oldest", "drop-newest", "block"] as const)("repaired, with %s", async (overflow) => {
    const file = join(tempDir(), "plain");
    writeFileSync(file, "");
    const child = start("repaired", join(file, "logs"), { queueLimit: 700, overflow }, { REPAIR: file });
    const { code, stdout, stderr } = await child.ended();
    expect(code).toBe(0);
    expect(occurrences(stderr, "cannot write")).toBe(1);
    expect(stderr).toContain("again");
    const [before, after] = statsOf(stdout);
    expect(before).toMatchObject({ written: 0, failing: true });

    const { lines, rest } = readLog(join(file, "logs"));
    expect(rest).toBe("");
    expect(after).toMatchObject({ written: lines.length, queued: 0, failing: false });
    expect(after?.enqueued).toBe(lines.length + (after?.dropped ?? 0));
    checkGaps(lines, 10_100, after?.dropped as number);
    const numbers = numbersOf(lines);
    // Two batches are with the writer whatever happens; the queue itself keeps the end or the beginning.
    if (overflow === "drop-oldest") expect(numbers.slice(-700)).toEqual(upTo(10_100).slice(-700));
    else expect(numbers.slice(0, 700)).toEqual(upTo(700));
  });

  test("a file size limit of the process (EFBIG): exits, what fitted is there", async () => {
    const dir = tempDir();
    const command = 'ulimit -f 8; exec "$0" "$@"';
    const child = new Running("bash", ["-c", command, process.execPath, compiled.program, "failing", dir]);
    const { code, stdout, stderr } = await child.ended();
    expect(code).toBe(0);
    expect(occurrences(stderr, "EFBIG")).toBe(1);
    const { lines, rest } = readLog(dir);
    expect(lines.join("\n").length + 1 + rest.length).toBe(8 * 1024);
    expect(numbersOf(lines)).toEqual(upTo(lines.length));
    const [, after] = statsOf(stdout);
    expect(after).toMatchObject({ enqueued: 1000, written: lines.length, dropped: 1000 - lines.length });
  });

  test("a limit that is lifted: goes on within the very line", async () => {
    const dir = tempDir();
    const command = 'ulimit -S -f 8; exec "$0" "$@"';
    const child = new Running("bash", [
      "-c",
      command,
      process.execPath,
      compiled.program,
      "limitLifted",
      dir,
    ]);
    const { code, stdout, stderr } = await child.ended();
    expect(code).toBe(0);
    expect(occurrences(stderr, "EFBIG")).toBe(1);
    const [before, after] = statsOf(stdout);
    expect(before).toMatchObject({ failing: true, enqueued: 2000, dropped: 0 });
    expect(after).toMatchObject({ failing: false, enqueued: 2000, written: 2000, dropped: 0 });
    expect(numbersOf(readLog(dir).lines)).toEqual(upTo(2000));
  });

  test("a full disk (ENOSPC) that gets room", async () => {
    const dir = tempDir();
    const link = join(dir, "full.log");
    symlinkSync("/dev/full", link);
    const options = { file: "full.log", queueLimit: 20_000 };
    const { code, stderr, stdout } = await start("repaired", dir, options, { REPAIR: link }).ended();
    expect(code).toBe(0);
    expect(occurrences(stderr, "ENOSPC")).toBe(1);
    expect(statsOf(stdout)[1]).toMatchObject({ enqueued: 10_100, written: 10_100, dropped: 0 });
    expect(numbersOf(readLog(dir).lines)).toEqual(upTo(10_100));
  });
});

test("a failing file does not hold up the console", async () => {
  const file = join(tempDir(), "plain");
  writeFileSync(file, "");
  const { code, stdout, stderr } = await start("natural", join(file, "logs"), { console: "stdout" }).ended();
  expect(code).toBe(0);
  expect(numbersOf(splitLines(stdout).lines)).toEqual(upTo(50_000));
  expect(occurrences(stderr, "ENOTDIR")).toBe(1);
  expect(stderr).toContain("50000 lines could not be written");
});

/** Each missing run of numbers stands where a line tells its length, and nothing else is missing or doubled. */
function checkGaps(lines: string[], count: number, dropped: number): void {
  let next = 0;
  let told = 0;
  for (const line of lines) {
    const entry = JSON.parse(line);
    if (entry.dropped !== undefined) {
      expect(entry).toMatchObject({ level: 40, msg: "log lines dropped: the queue was full" });
      next += entry.dropped;
      told += entry.dropped;
    } else {
      expect(entry.n).toBe(next);
      next += 1;
    }
  }
  expect(next).toBe(count);
  expect(told).toBe(dropped);
}

describe("the console", () => {
  test.each(["console", "consoleNonBlocking"])(
    "%s: a reader that comes late gets every line",
    async (scenario) => {
      const fifo = join(tempDir(), "stderr");
      // The pipe is full and the worker within a write when the reader hears, on stderr, of the exit and begins.
      const command = `mkfifo "$1"; "$0" "\${@:2}" 2>"$1" | { read -r word <"$1"; echo "$word" >&2; cat; }; exit $PIPESTATUS`;
      const args = [process.execPath, fifo, compiled.program, scenario];
      const { code, stdout, stderr } = await new Running("bash", ["-c", command, ...args]).ended();
      expect([code, stderr]).toEqual([0, "exiting\n"]);
      expect(numbersOf(splitLines(stdout).lines)).toEqual(upTo(20_000));
    },
  );

  test("a reader that is gone (EPIPE) harms nobody", async () => {
    const command = '"$0" "$@" | head -n 1; exit $PIPESTATUS';
    const child = new Running("bash", ["-c", command, process.execPath, compiled.program, "console"]);
    const { code, stdout, stderr } = await child.ended();
    expect(code).toBe(0);
    expect(numbersOf(splitLines(stdout).lines)).toEqual([0]);
    expect(occurrences(stderr, "EPIPE")).toBe(1);
    expect(stderr).toContain("exiting");
  });
});

test("a folder that is missing is made", async () => {
  const dir = join(tempDir(), "a", "b");
  expect(existsSync(dir)).toBe(false);
  expect((await start("exitAtOnce", dir).ended()).stderr).toBe("");
  expect(numbersOf(readLog(dir).lines)).toEqual(upTo(1000));
});

test("pino is loaded by the first line that needs it", async () => {
  const { stdout } = await start("withoutPino", tempDir()).ended();
  expect(JSON.parse(stdout)).toEqual([false, false, true]);
});
