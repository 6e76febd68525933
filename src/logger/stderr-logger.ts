import { writeSync } from "node:fs";
import type { LogFields, Logger, LogLevel } from "../log/logger.js";
import { createFormatter, type Formatter } from "./formatter.js";

/** Warnings and worse on stderr, at once and in the classic format: what a program sees that has chosen no logger. */
export function stderrLogger(wallNow: () => number): Logger {
  let formatter: Formatter | undefined;
  const nothing = (): void => {};
  const write = (level: LogLevel) => (text: string, fields?: LogFields) => {
    try {
      formatter ??= createFormatter("classic", []);
      writeSync(2, formatter.line(level, wallNow(), text, fields));
    } catch {
      // Fields that throw, or a stderr that is closed: there is nobody else to tell.
    }
  };
  return {
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: write("warn"),
    error: write("error"),
    fatal: write("fatal"),
  };
}
