import { createRequire } from "node:module";
import type { Logger as PinoLogger } from "pino";
import { classicKey, classicText, classicValue, TimeOfDay } from "./classic.js";
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
  // A quarter of what importing mprpc would take: only who logs waits for it.
  const { pino, stdSerializers } = createRequire(import.meta.url)("pino") as typeof import("pino");
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
    const logger = pino({ ...common, base: null, timestamp: false }, destination);
    return new ClassicFormatter(new ValueWriter(logger, made), new TimeOfDay(), new Map());
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

class ClassicFormatter implements Formatter {
  readonly #values: ValueWriter;
  readonly #time: TimeOfDay;
  /** ` key=value` by key. */
  readonly #bound: ReadonlyMap<string, string>;
  readonly #boundText: string;

  constructor(values: ValueWriter, time: TimeOfDay, bound: ReadonlyMap<string, string>) {
    this.#values = values;
    this.#time = time;
    this.#bound = bound;
    this.#boundText = [...bound.values()].join("");
  }

  line(level: LogLevel, wallMs: number, text: string, fields: LogFields | undefined): string {
    let facts = this.#boundText;
    if (fields !== undefined) {
      const all = fields instanceof Error ? { err: fields } : fields;
      if (this.#bound.size > 0) facts = this.#boundBeside(all);
      for (const key in all) if (Object.hasOwn(all, key)) facts += this.#fact(key, all[key]);
    }
    return `${this.#time.textOf(wallMs)} => [${level}] ${classicText(text)}${facts}\n`;
  }

  child(fields: LogFields): Formatter {
    const bound = new Map(this.#bound);
    for (const [key, value] of Object.entries(fields)) bound.set(key, this.#fact(key, value));
    return new ClassicFormatter(this.#values, this.#time, bound);
  }

  /** A line's own field takes the place of a bound one. */
  #boundBeside(fields: LogFields): string {
    let text = "";
    for (const [key, fact] of this.#bound) if (!Object.hasOwn(fields, key)) text += fact;
    return text;
  }

  #fact(key: string, value: unknown): string {
    const text = this.#values.textOf(key, value);
    return text === undefined ? "" : ` ${classicKey(key)}=${text}`;
  }
}

/** `{"level":30`: what pino begins a line with, at every level. */
const levelChars = '{"level":30'.length;
/** More names of fields than a program has; beyond it pino is asked each time. */
const knownKeysMax = 1000;

/**
 * The value of one field for a classic line. Plain values are written directly; pino, which knows the serialisers and
 * what is secret, writes the others as JSON, and is asked once per key whether it would touch a plain one.
 */
class ValueWriter {
  readonly #logger: PinoLogger;
  readonly #made: Made;
  readonly #tailChars: number;
  readonly #untouched = new Map<string, boolean>();

  constructor(logger: PinoLogger, made: Made) {
    this.#logger = logger;
    this.#made = made;
    logger.info({}, "");
    this.#tailChars = made.line.length - levelChars;
  }

  /** Undefined for what JSON leaves out. */
  textOf(key: string, value: unknown): string | undefined {
    if (value === null || typeof value === "object" || !this.#isUntouched(key))
      return this.#jsonOf(key, value);
    return classicValue(value);
  }

  #isUntouched(key: string): boolean {
    const known = this.#untouched.get(key);
    if (known !== undefined) return known;
    const untouched = this.#jsonOf(key, "probe") === "probe";
    if (this.#untouched.size < knownKeysMax) this.#untouched.set(key, untouched);
    return untouched;
  }

  #jsonOf(key: string, value: unknown): string | undefined {
    // Half a surrogate pair is the one thing that pino escapes in another way than JSON.stringify.
    const name = /\p{Cs}/u.test(key) ? JSON.stringify(key) : key;
    this.#logger.info({ [name]: value }, "");
    const start = levelChars + `,${JSON.stringify(name)}:`.length;
    const text = this.#made.line.slice(start, -this.#tailChars);
    if (text === "") return undefined;
    return text.startsWith('"') ? classicValue(JSON.parse(text)) : classicText(text);
  }
}
