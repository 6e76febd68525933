import { callGuarded, textOf } from "../base/thrown.js";
import { type LogFields, type Logger, type LogLevel, silentLogger } from "./logger.js";
import { reportToStderr } from "./report.js";

const guarded = new WeakSet<Logger>([silentLogger]);

/** A logger of the user's as the library calls it: what it throws is told once on stderr, and hurts nobody. */
export function guardLogger(log: Logger): Logger {
  if (guarded.has(log)) return log;
  let told = false;
  const onThrown = (thrown: unknown): void => {
    if (told) return;
    told = true;
    reportToStderr(`the logger that the program gave threw: ${textOf(thrown)}`);
  };
  const guard = (level: LogLevel) => (text: string, fields?: LogFields) =>
    callGuarded(() => log[level](text, fields), onThrown);
  const safe: Logger = {
    trace: guard("trace"),
    debug: guard("debug"),
    info: guard("info"),
    warn: guard("warn"),
    error: guard("error"),
    fatal: guard("fatal"),
  };
  guarded.add(safe);
  return safe;
}
