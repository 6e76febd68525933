import { expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";

test("now never goes back, and wallNow is the epoch's", () => {
  const before = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(60_000);
});

test("a timer fires once; a cancelled one never", async () => {
  const fired: string[] = [];
  const cancelled = systemClock.setTimer(() => fired.push("cancelled"), 0);
  cancelled.cancel();
  cancelled.cancel();
  await new Promise<void>((resolve) => {
    systemClock.setTimer(
      () => {
        fired.push("once");
        resolve();
      },
      -5,
      true,
    );
  });
  expect(fired).toEqual(["once"]);
});

test("a delay beyond what Node takes does not fire at once", async () => {
  let fired = false;
  const timer = systemClock.setTimer(() => {
    fired = true;
  }, Number.POSITIVE_INFINITY);
  await new Promise<void>((resolve) => systemClock.setTimer(resolve, 1, true));
  timer.cancel();
  expect(fired).toBe(false);
});
