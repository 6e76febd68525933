import { type Clock, systemClock } from "../base/clock.js";
import { isOf, textOf } from "../base/thrown.js";
import type { LogFields, Logger, LogLevel } from "../log/logger.js";
import { DayFinder } from "./day.js";
import type { DestinationOptions } from "./destination.js";
import { installExitHandlers } from "./exit-handlers.js";
import { createFormatter, type Formatter } from "./formatter.js";
import {
  checkLevel,
  type LoggerLevel,
  type LoggerOptions,
  lineMaxChars,
  type ResolvedLoggerOptions,
  resolveLoggerOptions,
} from "./options.js";
import { Sink, type SinkStats } from "./sink.js";

/** A logger whose lines may carry bound fields. */
export interface BoundLogger extends Logger {
  /** A logger that adds `fields` to each of its lines. It shares the level, the queue and the files of this one. */
  child(fields: LogFields): BoundLogger;
  /** Whether a line of this level would be written: asked before costly fields are gathered. */
  isEnabled(level: LogLevel): boolean;
}

/** The sums over the destinations, and each by itself: a line for a file and the console counts once in each. */
export interface LoggerStats extends SinkStats {
  destinations: { file?: SinkStats; console?: SinkStats };
}

/**
 * A logger that only enqueues: a worker thread per destination writes. What is enqueued is written, in order and once,
 * unless the queue overflows, the destination fails to the end, or the process is killed outright (SIGKILL, a crash of
 * the VM), which loses what still waits in memory.
 */
export interface QueueLogger extends BoundLogger, AsyncDisposable {
  /** May be set at any time, for this logger and all its children. Throws `TypeError` for an unknown level. */
  level: LoggerLevel;
  stats(): LoggerStats;
  /**
   * Resolves when every line logged before has been written or dropped; also when a destination fails at an attempt
   * made after the call, which `stats().failing` then shows. Never rejects.
   */
  flush(): Promise<void>;
  /** Writes what waits and ends the threads; lines logged later are counted as dropped. Idempotent, never rejects. */
  close(): Promise<void>;
}

export interface LoggerDeps {
  /** Gives each line its time and its day. */
  clock?: Clock | undefined;
}

/**
 * Makes a logger; nothing is opened and no thread started before the first line. While open it has an `exit` hook on the
 * process. Throws `TypeError` for a bad option.
 */
export function createLogger(options: LoggerOptions = {}, deps: LoggerDeps = {}): QueueLogger {
  const resolved = resolveLoggerOptions(options);
  const formatter = createFormatter(resolved.format, resolved.redact);
  return new RootLogger(
    new Core(resolved, formatter, deps.clock ?? systemClock),
    formatter,
    resolved.exitHandlers,
  );
}

/** Pino's numbers. */
const severity = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 70 } as const;

/** How much of the text of a line that is too long is kept, UTF-16 units. */
const cutTextChars = 1024;

/** What a logger and its children share. */
class Core {
  /** Read by every log call: a line below it costs this one comparison. */
  threshold: number;
  level: LoggerLevel;
  readonly clock: Clock;
  readonly file: Sink | undefined;
  readonly console: Sink | undefined;
  readonly #days = new DayFinder();
  readonly #root: Formatter;
  readonly #onStderr: boolean;

  constructor(options: ResolvedLoggerOptions, formatter: Formatter, clock: Clock) {
    this.level = options.level;
    this.threshold = severity[options.level];
    this.clock = clock;
    this.#root = formatter;
    this.#onStderr = options.console === "stderr";
    const deps = {
      clock,
      today: () => this.#days.dayOf(clock.wallNow()),
      lossLine: (dropped: number) => this.#lossLine(dropped, options),
    };
    const sink = (destination: DestinationOptions) => new Sink({ ...options, destination }, deps);
    const { dir, file: pattern, maxBytes, maxFiles } = options;
    if (dir !== "") this.file = sink({ kind: "file", dir, pattern, maxBytes, maxFiles });
    if (options.console !== "off")
      this.console = sink({ kind: "console", fd: options.console === "stdout" ? 1 : 2 });
  }

  sinks(): Sink[] {
    return [this.file, this.console].filter((sink) => sink !== undefined);
  }

  log(
    formatter: Formatter,
    level: LogLevel,
    text: string,
    fields: LogFields | undefined,
    onConsole = true,
  ): void {
    const wallMs = this.clock.wallNow();
    const line = this.#makeLine(formatter, level, wallMs, text, fields);
    const day = this.#days.dayOf(wallMs);
    this.file?.enqueue(line, day);
    if (onConsole) this.console?.enqueue(line, day);
  }

  /** Unless somebody handles it, Node prints it on stderr: said there twice, it would only be harder to read. */
  logUncaught(formatter: Formatter, fields: LogFields): void {
    if (this.threshold > severity.fatal) return;
    const handled =
      process.listenerCount("uncaughtException") > 0 || process.hasUncaughtExceptionCaptureCallback();
    this.log(formatter, "fatal", "uncaught exception", fields, handled || !this.#onStderr);
  }

  #makeLine(formatter: Formatter, level: LogLevel, wallMs: number, text: string, fields?: LogFields): string {
    const safeText = typeof text === "string" ? text : `(${typeof text})`;
    const cut = safeText.slice(0, cutTextChars);
    try {
      const line = formatter.line(level, wallMs, safeText, fields);
      if (line.length <= lineMaxChars) return line;
      return this.#root.line(level, wallMs, cut, { cutFromChars: line.length });
    } catch (error) {
      // A getter or a toJSON of the fields threw: a log call must not, and the text is still worth having.
      const reason = isOf(error, Error) ? textOf(error).slice(0, cutTextChars) : typeof error;
      try {
        return this.#root.line(level, wallMs, cut, { fieldsError: reason });
      } catch {
        // Whatever the formatter lacks, its lines are there, and a log call does not throw.
        return `${JSON.stringify({ level: severity[level], time: wallMs, fieldsError: reason, msg: cut })}\n`;
      }
    }
  }

  #lossLine(dropped: number, { queueLimit, overflow }: ResolvedLoggerOptions): string {
    const fields = { dropped, queueLimit, overflow };
    return this.#root.line("warn", this.clock.wallNow(), "log lines dropped: the queue was full", fields);
  }
}

class ChildLogger implements BoundLogger {
  readonly #core: Core;
  readonly #formatter: Formatter;

  constructor(core: Core, formatter: Formatter) {
    this.#core = core;
    this.#formatter = formatter;
  }

  trace(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.trace) this.#core.log(this.#formatter, "trace", text, fields);
  }

  debug(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.debug) this.#core.log(this.#formatter, "debug", text, fields);
  }

  info(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.info) this.#core.log(this.#formatter, "info", text, fields);
  }

  warn(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.warn) this.#core.log(this.#formatter, "warn", text, fields);
  }

  error(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.error) this.#core.log(this.#formatter, "error", text, fields);
  }

  fatal(text: string, fields?: LogFields): void {
    if (this.#core.threshold <= severity.fatal) this.#core.log(this.#formatter, "fatal", text, fields);
  }

  isEnabled(level: LogLevel): boolean {
    return this.#core.threshold <= severity[level];
  }

  child(fields: LogFields): BoundLogger {
    return new ChildLogger(this.#core, this.#formatter.child(fields));
  }
}

class RootLogger extends ChildLogger implements QueueLogger {
  readonly #core: Core;
  readonly #unhook: () => void;
  #closing: Promise<void> | undefined;

  constructor(core: Core, formatter: Formatter, exitHandlers: boolean) {
    super(core, formatter);
    this.#core = core;
    const end = () => {
      for (const sink of core.sinks()) sink.end();
    };
    process.on("exit", end);
    const removeHandlers = exitHandlers
      ? installExitHandlers({
          end,
          uncaught: (err, origin) => core.logUncaught(formatter, { err, origin }),
        })
      : undefined;
    this.#unhook = () => {
      process.removeListener("exit", end);
      removeHandlers?.();
    };
  }

  get level(): LoggerLevel {
    return this.#core.level;
  }

  set level(level: LoggerLevel) {
    checkLevel(level);
    this.#core.level = level;
    this.#core.threshold = severity[level];
  }

  stats(): LoggerStats {
    const file = this.#core.file?.stats;
    const console = this.#core.console?.stats;
    const sum: SinkStats = { enqueued: 0, written: 0, dropped: 0, queued: 0, failing: false };
    for (const sink of [file, console]) {
      if (sink === undefined) continue;
      sum.enqueued += sink.enqueued;
      sum.written += sink.written;
      sum.dropped += sink.dropped;
      sum.queued += sink.queued;
      sum.failing ||= sink.failing;
    }
    return { ...sum, destinations: { ...(file && { file }), ...(console && { console }) } };
  }

  async flush(): Promise<void> {
    await Promise.all(this.#core.sinks().map((sink) => sink.flush()));
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#core.sinks().map((sink) => sink.close())).then(this.#unhook);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
