import type { LogFields, Logger, LogLevel } from "../../src/log/logger.js";
import { noteLeak } from "../tools/leaks/notes.js";

export interface LogLine {
  level: LogLevel;
  text: string;
  fields: LogFields | undefined;
}

/** Keeps what it is told. A secret of a test in it fails the test's file. */
export class RecordingLog implements Logger {
  readonly lines: LogLine[] = [];

  trace = this.#keep("trace");
  debug = this.#keep("debug");
  info = this.#keep("info");
  warn = this.#keep("warn");
  error = this.#keep("error");
  fatal = this.#keep("fatal");

  /** Texts of one level. */
  at(level: LogLevel): string[] {
    return this.lines.filter((line) => line.level === level).map(({ text }) => text);
  }

  #keep(level: LogLevel): (text: string, fields?: LogFields) => void {
    return (text, fields) => {
      noteLeak(`a log line, "${text.slice(0, 80)}"`, text, fields);
      this.lines.push({ level, text, fields });
    };
  }
}
