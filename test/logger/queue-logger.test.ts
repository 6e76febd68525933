import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import { type Logger, logLevels, silentLogger } from "../../src/log/logger.js";
import { type LoggerOptions, loggerLevels } from "../../src/logger/options.js";
import { createLogger, type LoggerDeps, type QueueLogger } from "../../src/logger/queue-logger.js";
import { FixedClock, numbersOf, readLog, tempDir, upTo } from "./support.js";

function open(dir: string, options: LoggerOptions = {}, deps: LoggerDeps = {}): QueueLogger {
  const logger = createLogger({ dir, format: "json", ...options }, deps);
  onTestFinished(() => logger.close());
  return logger;
}

function messagesOf(dir: string): unknown[] {
  return readLog(dir).lines.map((line) => JSON.parse(line).msg);
}

test("100 000 lines of one loop stand in order, none lost, none twice", async () => {
  const dir = tempDir();
  const logger = open(dir, { overflow: "block", queueLimit: 5000 });
  logger.info("line", { n: 0 });
  await logger.flush();
  for (let n = 1; n < 100_000; n += 1) logger.info("line", { n });
  await logger.flush();
  expect(logger.stats()).toMatchObject({ enqueued: 100_000, written: 100_000, dropped: 0, queued: 0 });
  const { lines, rest } = readLog(dir);
  expect(rest).toBe("");
  expect(numbersOf(lines)).toEqual(upTo(100_000));
});

test("lines logged over many ticks arrive without a flush of each", async () => {
  const dir = tempDir();
  const logger = open(dir);
  for (let n = 0; n < 200; n += 1) {
    logger.info("line", { n });
    await new Promise(setImmediate);
  }
  await logger.flush();
  expect(numbersOf(readLog(dir).lines)).toEqual(upTo(200));
});

describe("levels", () => {
  test("change at run time, for children too", async () => {
    const dir = tempDir();
    const logger = open(dir, { level: "warn" });
    const child = logger.child({ c: 1 });
    for (const level of loggerLevels) {
      logger.level = level;
      expect(logger.level).toBe(level);
      for (const each of logLevels) child[each](`${each} at ${level}`);
      const enabled = logLevels.filter((each) => logger.isEnabled(each));
      expect(enabled).toEqual(logLevels.slice(loggerLevels.indexOf(level)));
    }
    await logger.flush();
    const expected = loggerLevels.flatMap((level, i) =>
      logLevels.slice(i).map((each) => `${each} at ${level}`),
    );
    expect(messagesOf(dir)).toEqual(expected);
  });

  test("an unknown one is refused and changes nothing", () => {
    const logger = open(tempDir());
    expect(() => {
      logger.level = "loud" as "info";
    }).toThrow(/log option level is "loud"/);
    expect(logger.level).toBe("info");
  });

  test("below the threshold nothing is made, not even looked at", () => {
    const logger = open(tempDir());
    const fields = {
      get costly(): never {
        throw new Error("read");
      },
    };
    logger.debug("hidden", fields);
    expect(logger.stats().enqueued).toBe(0);
  });
});

describe("files", () => {
  test("change with the local day of the line", async () => {
    const dir = tempDir();
    const clock = new FixedClock(new Date(2025, 0, 9, 23, 59, 59, 500).getTime());
    const logger = open(dir, { format: "classic" }, { clock });
    logger.info("before");
    clock.wallMs += 1000;
    logger.warn("after");
    await logger.flush();
    clock.wallMs += 24 * 3600 * 1000;
    logger.error("next");
    await logger.flush();
    expect(readdirSync(dir).sort()).toEqual(["2025-1-10-log.txt", "2025-1-11-log.txt", "2025-1-9-log.txt"]);
    expect(readFileSync(join(dir, "2025-1-9-log.txt"), "utf8")).toBe("23:59:59 => [info] before\n");
    expect(readFileSync(join(dir, "2025-1-10-log.txt"), "utf8")).toBe("00:00:00 => [warn] after\n");
    expect(readFileSync(join(dir, "2025-1-11-log.txt"), "utf8")).toBe("00:00:00 => [error] next\n");
  });

  test("are rotated by size", async () => {
    const dir = tempDir();
    const clock = new FixedClock(new Date(2025, 5, 1, 12).getTime());
    const options = { format: "classic", file: "app.log", maxBytes: 100, maxFiles: 2 } as const;
    const logger = open(dir, options, { clock });
    for (let n = 0; n < 10; n += 1) logger.info(`line ${n}`);
    await logger.flush();
    const numbers = (name: string) =>
      readFileSync(join(dir, name), "utf8")
        .match(/(?<=line )\d/g)
        ?.join("");
    expect(readdirSync(dir).sort()).toEqual(["app.log", "app.log.1", "app.log.2"]);
    expect([numbers("app.log.2"), numbers("app.log.1"), numbers("app.log")]).toEqual(["345", "678", "9"]);
  });
});

describe("a log call never throws", () => {
  test("fields that throw are left out and the reason is told", async () => {
    const dir = tempDir();
    const logger = open(dir);
    logger.info("getter", {
      get x(): never {
        throw new Error("boom");
      },
    });
    logger.info("toJSON", {
      x: {
        toJSON() {
          throw new Error("boom");
        },
      },
    });
    logger.info(undefined as unknown as string);
    logger.info(Symbol("s") as unknown as string);
    await logger.flush();
    const lines = readLog(dir).lines.map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ msg: "getter", fieldsError: "boom" });
    expect(lines[1]).toMatchObject({ msg: "toJSON" });
    expect(lines.slice(2).map(({ msg }) => msg)).toEqual(["(undefined)", "(symbol)"]);
  });

  test("a huge line is cut to its text and tells its size", async () => {
    const dir = tempDir();
    const logger = open(dir);
    logger.child({ huge: "y".repeat(300_000) }).info("x".repeat(2000));
    logger.info("fits", { large: "日".repeat(100_000) });
    await logger.flush();
    const [cut, fits] = readLog(dir).lines.map((line) => JSON.parse(line));
    expect(cut.msg).toBe("x".repeat(1024));
    expect(cut.cutFromChars).toBeGreaterThan(300_000);
    expect(cut.huge).toBeUndefined();
    expect(fits.large).toBe("日".repeat(100_000));
  });

  test("a field that logs while it is serialised does not mix the lines", async () => {
    const dir = tempDir();
    const logger = open(dir);
    logger.info("outer", { x: { toJSON: () => logger.info("inner") } });
    await logger.flush();
    expect(messagesOf(dir)).toEqual(["inner", "outer"]);
  });
});

describe("closing", () => {
  test("writes what waits, then refuses; hooks go; twice is once", async () => {
    const dir = tempDir();
    const events = ["exit", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "uncaughtExceptionMonitor"] as const;
    const counts = () => events.map((event) => process.listenerCount(event));
    const before = counts();
    const plain = createLogger({ dir });
    expect(counts()).toEqual(before.map((count, i) => (i === 0 ? count + 1 : count)));
    await plain.close();
    expect(counts()).toEqual(before);

    const logger = createLogger({ dir, format: "json", exitHandlers: true });
    expect(counts()).toEqual(before.map((count) => count + 1));
    for (let n = 0; n < 1000; n += 1) logger.info("line", { n });
    const closing = logger.close();
    logger.info("too late");
    expect(logger.close()).toBe(closing);
    await closing;
    expect(counts()).toEqual(before);
    logger.info("much too late");
    await logger.flush();
    expect(logger.stats()).toMatchObject({ enqueued: 1002, written: 1000, dropped: 2, queued: 0 });
    expect(numbersOf(readLog(dir).lines)).toEqual(upTo(1000));
  });

  test("by `await using`", async () => {
    const dir = tempDir();
    {
      await using logger = createLogger({ dir, format: "json" });
      logger.info("inside");
    }
    expect(messagesOf(dir)).toEqual(["inside"]);
  });

  test("a logger that never logged leaves nothing behind", async () => {
    const dir = join(tempDir(), "never");
    const logger = createLogger({ dir });
    await logger.flush();
    await logger.close();
    expect(() => readdirSync(dir)).toThrow(/ENOENT/);
  });
});

test("is a Logger, as the silent one is", () => {
  expectTypeOf<QueueLogger>().toExtend<Logger>();
  for (const level of logLevels) expect(silentLogger[level]("nothing happens")).toBeUndefined();
});
