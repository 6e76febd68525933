import { resolve } from "node:path";
import { checkOptions, type Filled, type OptionRule, type OptionRules } from "../base/options.js";
import { type LogLevel, logLevels } from "../log/logger.js";

/** A threshold: lines below it are not made. `silent` is above every level. */
export type LoggerLevel = LogLevel | "silent";
export const loggerLevels: readonly LoggerLevel[] = [...logLevels, "silent"];

export const overflowPolicies = ["drop-oldest", "drop-newest", "block"] as const;
export type OverflowPolicy = (typeof overflowPolicies)[number];

export const logFormats = ["classic", "json"] as const;
export type LogFormat = (typeof logFormats)[number];

export const consoleTargets = ["auto", "off", "stdout", "stderr"] as const;
export type ConsoleTarget = (typeof consoleTargets)[number];

/** Plain values, so that a conf file maps onto them key by key (`[log]` section, names in lower case). */
export interface LoggerOptions {
  /** The lowest level written; changeable later through `logger.level`. Default `info`. */
  level?: LoggerLevel | undefined;
  /** `classic` is one line of text for people, `json` a pino line for machines. Default `classic`. */
  format?: LogFormat | undefined;
  /** Folder of the log files, made when missing; `""` (the default) writes no file. */
  dir?: string | undefined;
  /**
   * Name of a day's file. `YYYY`, `MM` or `M`, `DD` or `D` stand for the local date where a run of letters holds
   * nothing else (`Demo-YYYYMMDD.log` keeps its `Demo`). Default `YYYY-M-D-log.txt`, as the classic framework.
   */
  file?: string | undefined;
  /**
   * A file that would grow beyond it is renamed to `.1` first (the older `.1` to `.2`, and so on), bytes; 0 never
   * rotates. Default 100 MiB: files that an editor still opens. A single longer line still gets a file of its own.
   */
  maxBytes?: number | undefined;
  /** How many renamed files (`.1` ...) are kept per day, 1 to 1000; the oldest goes. Default 10. */
  maxFiles?: number | undefined;
  /** Where lines also go; `auto`, the default, is `stderr` when there is no `dir` and `off` when there is one. */
  console?: ConsoleTarget | undefined;
  /**
   * How many lines may wait for the writer, 1 to 10 000 000; up to 512 Ki characters already handed to it come on top.
   * Default 65 536: the lines of a busy second, or of a stumbling disk.
   */
  queueLimit?: number | undefined;
  /** The same limit in UTF-16 units, so that huge lines are bounded too. Default 16 Mi (32 MB at most). */
  queueMaxChars?: number | undefined;
  /**
   * What happens to a line that finds the queue full. `drop-oldest` (default) keeps the latest lines, which tell what
   * led to a crash; `drop-newest` keeps what came first; `block` holds the caller until there is room, at most 5 s and
   * not at all while the destination fails, and then drops the new line. What is dropped is counted and reported.
   */
  overflow?: OverflowPolicy | undefined;
  /** Paths of fields whose values are replaced by `[Redacted]`, in pino's syntax: `pwd`, `*.token`, `headers["x-key"]`. */
  redact?: readonly string[] | undefined;
  /** How long a failing destination is left alone before the next attempt, ms, 1 to 3 600 000. Default 1000. */
  retryMs?: number | undefined;
  /**
   * Adds handlers for SIGHUP, SIGINT, SIGQUIT and SIGTERM that write the queue before the process dies of the signal,
   * and logs uncaught exceptions at `fatal` (not to stderr, where Node prints them itself). Default false: a library changes the process only when asked. Exit by any
   * other way (the natural end, `process.exit()`, an uncaught exception) loses nothing even without it.
   */
  exitHandlers?: boolean | undefined;
}

export type ResolvedLoggerOptions = Filled<LoggerOptions>;

export const loggerDefaults: ResolvedLoggerOptions = {
  level: "info",
  format: "classic",
  dir: "",
  file: "YYYY-M-D-log.txt",
  maxBytes: 100 * 1024 * 1024,
  maxFiles: 10,
  console: "auto",
  queueLimit: 65_536,
  queueMaxChars: 16 * 1024 * 1024,
  overflow: "drop-oldest",
  redact: [],
  retryMs: 1000,
  exitHandlers: false,
};

/**
 * A longer line is replaced by one with the start of its text and its length: one field must not empty the queue.
 * UTF-16 units.
 */
export const lineMaxChars = 128 * 1024;

/** The values are checked below, where an error can name their keys in a conf file; here only the names are. */
const anyValue: OptionRule = { expected: "a value", accepts: () => true };

// The cast: each name of the defaults, which are all there are.
const optionNames = Object.fromEntries(
  Object.keys(loggerDefaults).map((name) => [name, anyValue]),
) as unknown as OptionRules<ResolvedLoggerOptions>;

/**
 * Fills in the defaults and checks every value once. Throws `TypeError` naming the option, its limit and conf key, and
 * for an option that does not exist.
 */
export function resolveLoggerOptions(options: LoggerOptions): ResolvedLoggerOptions {
  const resolved = checkOptions("createLogger", options, loggerDefaults, optionNames);
  checkLevel(resolved.level);
  checkOneOf("format", resolved.format, logFormats);
  checkOneOf("console", resolved.console, consoleTargets);
  checkOneOf("overflow", resolved.overflow, overflowPolicies);
  checkWhole("maxBytes", resolved.maxBytes, 0, Number.MAX_SAFE_INTEGER);
  checkWhole("maxFiles", resolved.maxFiles, 1, 1000);
  checkWhole("queueLimit", resolved.queueLimit, 1, 10_000_000);
  checkWhole("queueMaxChars", resolved.queueMaxChars, lineMaxChars, 1024 * 1024 * 1024);
  checkWhole("retryMs", resolved.retryMs, 1, 3_600_000);
  checkFileName(resolved.file);
  if (typeof resolved.exitHandlers !== "boolean") {
    throw invalid("exitHandlers", resolved.exitHandlers, "true or false");
  }
  if (typeof resolved.dir !== "string" || resolved.dir.includes("\0")) {
    throw invalid("dir", resolved.dir, "a folder, or an empty text for no file");
  }
  if (!Array.isArray(resolved.redact) || resolved.redact.some((path) => typeof path !== "string")) {
    throw invalid("redact", resolved.redact, "a list of field paths");
  }
  if (resolved.console === "auto") resolved.console = resolved.dir === "" ? "stderr" : "off";
  if (resolved.console === "off" && resolved.dir === "") {
    throw new TypeError(
      'log options name no destination: set dir ([log] dir) or console ([log] console); to write nothing set level to "silent" ([log] level)',
    );
  }
  // Resolved now, so that a later chdir does not move the files.
  if (resolved.dir !== "") resolved.dir = resolve(resolved.dir);
  return resolved;
}

export function checkLevel(level: unknown): asserts level is LoggerLevel {
  checkOneOf("level", level, loggerLevels);
}

/** Options that have no key in a conf file. */
const codeOnly: ReadonlySet<keyof LoggerOptions> = new Set(["queueMaxChars", "retryMs", "exitHandlers"]);

/** The error for a value that an option cannot take. */
export function invalid(name: keyof LoggerOptions, value: unknown, expected: string): TypeError {
  const shown = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  const key = codeOnly.has(name) ? "" : ` ([log] ${name.toLowerCase()})`;
  return new TypeError(`log option ${name} is ${shown}: expected ${expected}${key}`);
}

function checkOneOf(name: keyof LoggerOptions, value: unknown, allowed: readonly string[]): void {
  if (!allowed.includes(value as string)) throw invalid(name, value, `one of ${allowed.join(", ")}`);
}

function checkWhole(name: keyof LoggerOptions, value: unknown, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalid(name, value, `a whole number from ${least} to ${most}`);
  }
}

function checkFileName(name: unknown): void {
  const fine = typeof name === "string" && /^[^/\\\0]{1,200}$/.test(name) && name !== "." && name !== "..";
  if (!fine)
    throw invalid(
      "file",
      name,
      "a file name of 1 to 200 characters without a folder, such as YYYY-M-D-log.txt",
    );
}
