import { type LogFields, type Logger, silentLogger } from "mprpc";
import { expect, test } from "vitest";
import { Schedule } from "../../src/common/schedule.js";
import { deferred } from "./deferred.js";
import { fakeLeases } from "./fake-leases.js";

function recorder(): { lines: Array<[string, LogFields | undefined]>; log: Logger } {
  const lines: Array<[string, LogFields | undefined]> = [];
  const note = (text: string, fields?: LogFields): void => void lines.push([text, fields]);
  return { lines, log: { ...silentLogger, info: note, error: note } };
}

test("a task runs at once when asked, and its result is logged and kept", async () => {
  const { lines, log } = recorder();
  const schedule = new Schedule(fakeLeases(), "one", log);
  schedule.add("count", 3_600_000, async () => ({ counted: 3 }));
  expect(await schedule.runNow("count")).toBe(true);
  expect(schedule.lastRuns.get("count")).toMatchObject({ outcome: "done", result: { counted: 3 } });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.[1]).toMatchObject({ task: "count", counted: 3 });
  await schedule.stop();
});

test("one process at a time: the other is refused while the first is at it, and has its turn afterwards", async () => {
  const database = fakeLeases();
  const begun = deferred();
  const release = deferred();
  const first = new Schedule(database, "one", silentLogger);
  const second = new Schedule(database, "two", silentLogger);
  first.add("work", 3_600_000, async () => {
    begun.resolve();
    await release.promise;
  });
  let ran = 0;
  second.add("work", 3_600_000, async () => void ran++);
  const running = first.runNow("work");
  await begun.promise;
  expect(await second.runNow("work")).toBe(false);
  release.resolve();
  expect(await running).toBe(true);
  database.advance(2);
  expect(await second.runNow("work")).toBe(true);
  expect(ran).toBe(1);
  await Promise.all([first.stop(), second.stop()]);
});

test("within one process runs follow one another", async () => {
  const schedule = new Schedule(fakeLeases(), "one", silentLogger);
  let now = 0;
  let most = 0;
  schedule.add("work", 1000, async () => {
    now++;
    most = Math.max(most, now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
  });
  expect(await Promise.all([schedule.runNow("work"), schedule.runNow("work")])).toEqual([true, true]);
  expect(most).toBe(1);
  await schedule.stop();
});

test("a failure reaches who asked, is logged, and does not end the schedule", async () => {
  const { lines, log } = recorder();
  const schedule = new Schedule(fakeLeases(), "one", log);
  let fails = true;
  schedule.add("work", 1000, async () => {
    if (fails) throw new Error("the disk is away");
  });
  await expect(schedule.runNow("work")).rejects.toThrow("the disk is away");
  expect(schedule.lastRuns.get("work")).toMatchObject({
    outcome: "failed",
    error: "Error: the disk is away",
  });
  expect(lines[0]?.[0]).toBe("task failed");
  fails = false;
  expect(await schedule.runNow("work")).toBe(true);
  await schedule.stop();
});

test("at its interval, again and again; stop aborts what runs and waits for it", async () => {
  const schedule = new Schedule(fakeLeases(), "one", silentLogger);
  let runs = 0;
  let ended = false;
  const third = deferred();
  schedule.add("work", 1, async (signal) => {
    runs++;
    if (runs < 3) return;
    third.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    ended = true;
  });
  schedule.start();
  await third.promise;
  await schedule.stop();
  expect(ended).toBe(true);
  expect(await schedule.runNow("work")).toBe(false);
  expect(runs).toBe(3);
});

test("two processes on the clock: while the one has had its turn, the other waits for the interval", async () => {
  const database = fakeLeases();
  const log: string[] = [];
  const asked = deferred();
  const one = new Schedule(database, "one", silentLogger);
  const first = deferred();
  one.add("work", 10, async () => {
    log.push("one");
    first.resolve();
  });
  one.start();
  await first.promise;
  await one.stop();
  const two = new Schedule(
    {
      run: async (name, params) => {
        const result = await database.run(name, params);
        asked.resolve();
        return result;
      },
    },
    "two",
    silentLogger,
  );
  two.add("work", 10, async () => void log.push("two"));
  two.start();
  await asked.promise;
  await two.stop();
  expect(log).toEqual(["one"]);
});

test("a name twice, and one that is not there, are the programmer's mistakes", async () => {
  const schedule = new Schedule(fakeLeases(), "one", silentLogger);
  schedule.add("work", 1000, async () => {});
  expect(() => schedule.add("work", 1000, async () => {})).toThrow(TypeError);
  await expect(schedule.runNow("play")).rejects.toThrow("no task play");
  await schedule.stop();
});
