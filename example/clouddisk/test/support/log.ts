import type { LogFields, Logger, LogLevel } from "mprpc";

export interface LogLine {
  level: LogLevel;
  text: string;
  fields: LogFields;
}

/** Keeps what it is told. */
export class RecordingLog implements Logger {
  readonly lines: LogLine[] = [];

  trace = this.#keep("trace");
  debug = this.#keep("debug");
  info = this.#keep("info");
  warn = this.#keep("warn");
  error = this.#keep("error");
  fatal = this.#keep("fatal");

  #keep(level: LogLevel): (text: string, fields?: LogFields) => void {
    return (text, fields = {}) => void this.lines.push({ level, text, fields });
  }
}
