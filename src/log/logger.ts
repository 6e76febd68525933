export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * What the library logs through. Implement it over any logger; pino's own `(fields, text)` order is not used, so that a
 * line reads as a sentence followed by its facts.
 */
export interface Logger {
  trace(text: string, fields?: LogFields): void;
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
  fatal(text: string, fields?: LogFields): void;
}

const nothing = () => {};

/** The default of everything in the library: importing it writes nothing anywhere. */
export const silentLogger: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};
