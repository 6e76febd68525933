import { isAbsolute } from "node:path";
import { describe, expect, test } from "vitest";
import { DayFinder, fileNameOf } from "../../src/logger/day.js";
import { type LoggerOptions, resolveLoggerOptions } from "../../src/logger/options.js";
import { createLogger } from "../../src/logger/queue-logger.js";

describe("options", () => {
  test("the defaults write classic lines at info to stderr", () => {
    expect(resolveLoggerOptions({})).toMatchObject({
      level: "info",
      format: "classic",
      console: "stderr",
      dir: "",
      exitHandlers: false,
    });
  });

  test("a folder turns the console off unless asked for, and is made absolute", () => {
    const resolved = resolveLoggerOptions({ dir: "logs" });
    expect(resolved.console).toBe("off");
    expect(isAbsolute(resolved.dir)).toBe(true);
    expect(resolveLoggerOptions({ dir: "logs", console: "stdout" }).console).toBe("stdout");
  });

  test("undefined means the default, and the caller's object stays as it is", () => {
    const options: object = Object.freeze({ dir: "logs", level: undefined });
    expect(resolveLoggerOptions(options).level).toBe("info");
  });

  test.each<[string, unknown, RegExp]>([
    ["level", "loud", /log option level is "loud": expected one of trace, .*silent \(\[log\] level\)/],
    ["format", "xml", /expected one of classic, json \(\[log\] format\)/],
    ["console", "tty", /auto, off, stdout, stderr/],
    ["overflow", "explode", /drop-oldest, drop-newest, block/],
    ["maxBytes", -1, /maxBytes is -1: expected a whole number from 0 to \d+ \(\[log\] maxbytes\)/],
    ["maxFiles", 0, /from 1 to 1000 \(\[log\] maxfiles\)/],
    ["queueLimit", 1.5, /from 1 to 10000000 \(\[log\] queuelimit\)/],
    ["queueMaxChars", 10, /from 131072/],
    ["retryMs", Number.NaN, /retryMs is NaN: expected a whole number from 1 to 3600000$/],
    ["exitHandlers", "yes", /expected true or false$/],
    ["file", "a/b.txt", /without a folder/],
    ["file", "", /1 to 200 characters/],
    ["file", "..", /without a folder/],
    ["dir", 7, /expected a folder/],
    ["redact", "pwd", /expected a list of field paths/],
    ["redact", ["a..b["], /field paths in pino's syntax.*\[log\] redact/],
  ])("%s = %j is refused with its limit and its key", (name, value, message) => {
    const make = () => createLogger({ dir: "logs", [name]: value } as LoggerOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test.each<[string, unknown, string]>([
    [
      "an option that does not exist",
      { dir: "logs", levle: "debug" },
      'createLogger: unknown option "levle"; did you mean "level"?',
    ],
    [
      "no destination",
      { console: "off" },
      'set dir ([log] dir) or console ([log] console); to write nothing set level to "silent" ([log] level)',
    ],
    ["null", null, "createLogger: expected an object of options, got null"],
    ["a text", "logs", 'createLogger: expected an object of options, got "logs"'],
  ])("%s is refused", (_, options, message) => {
    const make = () => createLogger(options as LoggerOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test("nowhere to write to is an error", () => {
    expect(() => createLogger({ console: "off" })).toThrow(/set dir \(\[log\] dir\) or console/);
  });
});

describe("the name of a day's file", () => {
  test.each([
    ["YYYY-M-D-log.txt", 20250103, "2025-1-3-log.txt"],
    ["YYYY-M-D-log.txt", 20251231, "2025-12-31-log.txt"],
    ["Demo-YYYYMMDD.log", 20250103, "Demo-20250103.log"],
    ["node7-MM.DD.log", 20250103, "node7-01.03.log"],
    ["plain.log", 20250103, "plain.log"],
    ["日YYYY.log", 20250103, "日YYYY.log"],
  ])("%s on %i is %s", (pattern, day, name) => {
    expect(fileNameOf(pattern, day)).toBe(name);
  });

  test("days are local, and time may run backwards", () => {
    const finder = new DayFinder();
    const lastMs = new Date(2025, 0, 31, 23, 59, 59, 999).getTime();
    expect(finder.dayOf(lastMs)).toBe(20250131);
    expect(finder.dayOf(lastMs + 1)).toBe(20250201);
    expect(finder.dayOf(lastMs)).toBe(20250131);
    expect(finder.dayOf(new Date(2024, 1, 29, 12).getTime())).toBe(20240229);
  });
});
