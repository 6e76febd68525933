import type { LoggerOptions, Logger as PinoLogger } from "pino";
import { printable } from "../base/printable.js";
import type { LogFields, LogLevel } from "../log/logger.js";
import { classicKey, classicValue, TimeOfDay } from "./classic.js";
import { loadPino } from "./load-pino.js";
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

/**
 * Pino serialises for both formats, so fields, errors and redaction are alike; a classic line of plain values alone does
 * without. Throws `TypeError` for a bad path.
 */
export function createFormatter(format: LogFormat, redact: readonly string[]): Formatter {
  if (format === "json") {
    const lines = new PinoLines(redact, (made) => ({ timestamp: () => `,"time":${made.wallMs}` }));
    return new JsonFormatter(lines, undefined);
  }
  const values = new PinoLines(redact, () => ({ base: null, timestamp: false }));
  return new ClassicFormatter(new ValueWriter(values, redact.length > 0), new TimeOfDay(), new Map());
}

/** What pino made last, and the time it is to put into it. */
interface Made {
  line: string;
  wallMs: number;
}

/** Pino's logger, made when it is first needed: its library is a quarter of what a node that starts would wait for. */
class PinoLines {
  readonly made: Made = { line: "", wallMs: 0 };
  readonly #redact: readonly string[];
  readonly #options: (made: Made) => LoggerOptions;
  #logger: PinoLogger | undefined;

  constructor(redact: readonly string[], options: (made: Made) => LoggerOptions) {
    this.#redact = redact;
    this.#options = options;
    // Whether the paths are right is pino's to say, and to be said at once.
    if (redact.length > 0) this.#logger = this.#make();
  }

  get logger(): PinoLogger {
    this.#logger ??= this.#make();
    return this.#logger;
  }

  #make(): PinoLogger {
    const { pino, stdSerializers } = loadPino();
    const error = stdSerializers.err;
    const { made } = this;
    const redact = this.#redact;
    // One object receives the lines of every child: pino hands a line over before its log call returns.
    const destination = {
      write(line: string) {
        made.line = line;
      },
    };
    try {
      return pino(
        {
          level: "trace",
          serializers: { err: error, error, cause: error },
          ...(redact.length > 0 ? { redact: [...redact] } : {}),
          ...this.#options(made),
        },
        destination,
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw invalid("redact", redact, `field paths in pino's syntax: ${reason}`);
    }
  }
}

class JsonFormatter implements Formatter {
  readonly #lines: PinoLines;
  /** Has the bound fields; undefined: there are none. */
  readonly #child: PinoLogger | undefined;

  constructor(lines: PinoLines, child: PinoLogger | undefined) {
    this.#lines = lines;
    this.#child = child;
  }

  get #logger(): PinoLogger {
    return this.#child ?? this.#lines.logger;
  }

  line(level: LogLevel, wallMs: number, text: string, fields: LogFields | undefined): string {
    const { made } = this.#lines;
    made.wallMs = wallMs;
    if (fields === undefined) this.#logger[level](text);
    else this.#logger[level](fields, text);
    return made.line;
  }

  child(fields: LogFields): Formatter {
    return new JsonFormatter(this.#lines, this.#logger.child(fields));
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
    return `${this.#time.textOf(wallMs)} => [${level}] ${printable(text)}${facts}\n`;
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
 * what is secret, writes the others as JSON, and where anything is secret is asked once per key whether it would touch
 * a plain one.
 */
class ValueWriter {
  readonly #lines: PinoLines;
  readonly #secrets: boolean;
  readonly #untouched = new Map<string, boolean>();
  /** How long what pino puts behind the field is; 0: not known yet. */
  #tailChars = 0;

  constructor(lines: PinoLines, secrets: boolean) {
    this.#lines = lines;
    this.#secrets = secrets;
  }

  /** Undefined for what JSON leaves out. */
  textOf(key: string, value: unknown): string | undefined {
    if (!this.#secrets && isPlainList(value)) return printable(JSON.stringify(value));
    if (value === null || typeof value === "object" || !this.#isUntouched(key))
      return this.#jsonOf(key, value);
    return classicValue(value);
  }

  #isUntouched(key: string): boolean {
    // The serialisers turn errors into objects, and leave plain values as they are.
    if (!this.#secrets) return true;
    const known = this.#untouched.get(key);
    if (known !== undefined) return known;
    const untouched = this.#jsonOf(key, "probe") === "probe";
    if (this.#untouched.size < knownKeysMax) this.#untouched.set(key, untouched);
    return untouched;
  }

  #jsonOf(key: string, value: unknown): string | undefined {
    const { logger, made } = this.#lines;
    if (this.#tailChars === 0) {
      logger.info({}, "");
      this.#tailChars = made.line.length - levelChars;
    }
    // Half a surrogate pair is the one thing that pino escapes in another way than JSON.stringify.
    const name = /\p{Cs}/u.test(key) ? JSON.stringify(key) : key;
    logger.info({ [name]: value }, "");
    const start = levelChars + `,${JSON.stringify(name)}:`.length;
    const text = made.line.slice(start, -this.#tailChars);
    if (text === "") return undefined;
    return text.startsWith('"') ? classicValue(JSON.parse(text)) : printable(text);
  }
}

/** Pino leaves out what comes behind this many elements, and says so. */
const plainListMax = 100;

/** A list that pino writes as JSON.stringify does. */
function isPlainList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= plainListMax &&
    !("toJSON" in value) &&
    value.every((one) => typeof one === "string" || typeof one === "boolean" || Number.isFinite(one))
  );
}
