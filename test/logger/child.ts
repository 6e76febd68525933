/** What the tests of exits run: `child SCENARIO DIR [OPTIONS-JSON]`. Lines are numbered from 0 by their field `n`. */
import { execFileSync } from "node:child_process";
import { rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { LoggerOptions } from "../../src/logger/options.js";
import { createLogger, type QueueLogger } from "../../src/logger/queue-logger.js";

const [, , scenario = "", dir = "", options = "{}"] = process.argv;

function open(more: LoggerOptions = {}): QueueLogger {
  return createLogger({ dir, format: "json", overflow: "block", ...JSON.parse(options), ...more });
}

let next = 0;
function logLines(logger: QueueLogger, count: number): void {
  for (const end = next + count; next < end; next += 1) logger.info("line", { n: next });
}

function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

const scenarios: Record<string, () => void | Promise<void>> = {
  natural() {
    logLines(open(), 50_000);
  },

  /** Says whether pino was loaded: before any line, behind a line of plain values, and behind one with an object. */
  withoutPino() {
    const loaded = (): boolean =>
      Object.keys(createRequire(import.meta.url).cache).some((file) => /pino/.test(file));
    const logger = open({ format: "classic" });
    const before = loaded();
    logger.info("listening", { port: 1, services: ["a.B"] });
    const plain = loaded();
    logger.info("object", { object: { a: 1 } });
    say([before, plain, loaded()]);
  },

  /** The logger of a thread of the application's. */
  thread() {
    new Worker(new URL(import.meta.url), { argv: ["natural", dir] });
  },

  /** Exits before the worker can have started. */
  exitAtOnce() {
    logLines(open(), 1000);
    process.exit(3);
  },

  /** Exits while the worker is busy. */
  async exitBusy() {
    const logger = open();
    logLines(logger, 1);
    await logger.flush();
    logLines(logger, 50_000);
    process.exit(3);
  },

  async exitListeners() {
    process.on("exit", () => logLines(logger, 1));
    const logger = open();
    process.on("exit", () => logLines(logger, 5));
    logLines(logger, 10);
    await logger.flush();
    logLines(logger, 10);
  },

  async uncaught() {
    const logger = open();
    logLines(logger, 1);
    await logger.flush();
    setImmediate(() => {
      logLines(logger, 20_000);
      throw new Error("nobody catches this");
    });
  },

  async rejected() {
    const logger = open();
    logLines(logger, 20_000);
    void Promise.reject(new Error("nobody awaits this"));
  },

  /** A signal of its own in the middle of logging. */
  async signalled() {
    const logger = open({ exitHandlers: true });
    const second = createLogger({ dir: `${dir}2`, format: "json", exitHandlers: true });
    logLines(logger, 1);
    await logger.flush();
    setInterval(() => {}, 1000);
    logLines(logger, 50_000);
    second.info("line", { n: 0 });
    process.kill(process.pid, "SIGTERM");
  },

  /** The application has its own idea of SIGTERM, as a provider that drains. */
  ownListener() {
    const timer = setInterval(() => {}, 1000);
    // There before the logger is, and gone as soon as it is called.
    process.once("SIGTERM", () => {
      logLines(logger, 1);
      setImmediate(() => {
        logLines(logger, 1);
        clearInterval(timer);
      });
    });
    const logger = open({ exitHandlers: true });
    logLines(logger, 1);
    say("ready");
  },

  async endless() {
    const logger = open();
    logLines(logger, 1000);
    await logger.flush();
    say("ready");
    const more = () => {
      logLines(logger, 50);
      setImmediate(more);
    };
    more();
  },

  /** The destination fails from the start; the parent looks at the counters and at stderr. */
  async failing() {
    const logger = open();
    logLines(logger, 1000);
    await logger.flush();
    await logger.flush();
    say(logger.stats());
    process.on("exit", () => say(logger.stats()));
  },

  /** As `failing`, but `REPAIR` names what is to be removed, after which the lines are written. */
  async repaired() {
    const logger = open();
    for (let round = 0; round < 20; round += 1) {
      logLines(logger, 500);
      await logger.flush();
    }
    say(logger.stats());
    rmSync(process.env.REPAIR as string);
    await logger.flush();
    logLines(logger, 100);
    await logger.close();
    say(logger.stats());
  },

  /** Writes until the soft file size limit of the process, which is then lifted. */
  async limitLifted() {
    const logger = open();
    logLines(logger, 2000);
    await logger.flush();
    say(logger.stats());
    execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=unlimited"]);
    await logger.flush();
    say(logger.stats());
  },

  /** More than a pipe holds, so the exit finds the worker within a write; the parent reads when it hears of the exit. */
  async console() {
    process.on("exit", () => writeSync(2, "exiting\n"));
    const logger = createLogger({ format: "json", overflow: "block", console: "stdout" });
    logLines(logger, 1);
    await logger.flush();
    logLines(logger, 19_999);
  },

  /** As `console`, after Node has made the pipe non-blocking for its own use. */
  consoleNonBlocking() {
    process.stdout.write("");
    return scenarios.console?.();
  },
};

await scenarios[scenario]?.();
