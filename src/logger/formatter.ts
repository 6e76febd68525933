import { type Logger as PinoLogger, pino, stdSerializers } from "pino";
import { classicFields, classicText, TimeOfDay } from "./classic.js";
import type { LogFields, LogLevel } from "./logger.js";
import { invalid, type LogFormat } from "./options.js";

/** Makes the text of a line. One per set of bound fields. */
export interface Formatter {
  /**
   * The line with its newline; `wallMs` is its time since the Unix epoch. Throws what a getter or a `toJSON` of the
   * fields throws.
   */
  line(level: LogLevel, wallMs: number, text: string, fields: LogFields | undefined): string;
  /** A formatter whose lines also carry `fields`, which are serialised once, here. */
  child(fields: LogFields): Formatter;
}

/** Pino serialises for both formats, so fields, errors and redaction are alike. Throws `TypeError` for a bad path. */
export function createFormatter(format: LogFormat, redact: readonly string[]): Formatter {
  // One object receives the lines of every child: pino hands a line over before its log call returns.
  const made: Made = { line: "", wallMs: 0 };
  const destination = {
    write(line: string) {
      made.line = line;
    },
  };
  const error = stdSerializers.err;
  const common = {
    level: "trace",
    serializers: { err: error, error, cause: error },
    ...(redact.length > 0 ? { redact: [...redact] } : {}),
  };
  try {
    if (format === "json") {
      const logger = pino({ ...common, timestamp: () => `,"time":${made.wallMs}` }, destination);
      return new JsonFormatter(logger, made);
    }
    const logger = pino({ ...common, base: null, timestamp: false, messageKey: hiddenKey }, destination);
    return new ClassicFormatter(logger, made, new TimeOfDay(), false);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid("redact", redact, `field paths in pino's syntax: ${reason}`);
  }
}

interface Made {
  line: string;
  wallMs: number;
}

class JsonFormatter implements Formatter {
  readonly #logger: PinoLogger;
  readonly #made: Made;

  constructor(logger: PinoLogger, made: Made) {
    this.#logger = logger;
    this.#made = made;
  }

  line(level: LogLevel, wallMs: number, text: string, fields: LogFields | undefined): string {
    this.#made.wallMs = wallMs;
    if (fields === undefined) this.#logger[level](text);
    else this.#logger[level](fields, text);
    return this.#made.line;
  }

  child(fields: LogFields): Formatter {
    return new JsonFormatter(this.#logger.child(fields), this.#made);
  }
}

/** The text of a classic line is not pino's to format; this key, last in pino's object, is cut off again. */
const hiddenKey = " ";
/** `{"level":30`: pino begins with it, and a field of that name must not be taken for it. */
const levelPrefixChars = '{"level":30'.length;

class ClassicFormatter implements Formatter {
  readonly #logger: PinoLogger;
  readonly #made: Made;
  readonly #time: TimeOfDay;
  readonly #bound: boolean;

  constructor(logger: PinoLogger, made: Made, time: TimeOfDay, bound: boolean) {
    this.#logger = logger;
    this.#made = made;
    this.#time = time;
    this.#bound = bound;
  }

  line(level: LogLevel, wallMs: number, text: string, fields: LogFields | undefined): string {
    const sentence = `${this.#time.textOf(wallMs)} => [${level}] ${classicText(text)}`;
    if (fields === undefined && !this.#bound) return `${sentence}\n`;
    this.#logger[level](fields ?? {}, "");
    const values: Record<string, unknown> = JSON.parse(`{${this.#made.line.slice(levelPrefixChars + 1)}`);
    delete values[hiddenKey];
    return `${sentence}${classicFields(values)}\n`;
  }

  child(fields: LogFields): Formatter {
    return new ClassicFormatter(this.#logger.child(fields), this.#made, this.#time, true);
  }
}
