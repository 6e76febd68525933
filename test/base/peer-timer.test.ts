import { expect, test } from "vitest";
import { PeerTimer } from "../../src/base/peer-timer.js";
import { ManualClock, settle } from "../../src/testing/index.js";

function start(timeoutMs: number) {
  const clock = new ManualClock(0);
  const fired: number[] = [];
  return { clock, fired, timer: new PeerTimer(clock, () => fired.push(clock.now()), timeoutMs) };
}

test("calls back once, after exactly its time, in a process that is not busy", async () => {
  const { clock, fired } = start(1000);
  await clock.run(999);
  expect(fired).toEqual([]);
  await clock.run(10_000);
  expect(fired).toEqual([1000]);
  expect(clock.timers).toBe(0);
});

test.each([1, 3, 999])("never early: %d ms", async (timeoutMs) => {
  const { clock, fired } = start(timeoutMs);
  await clock.run(timeoutMs - 1);
  expect(fired).toEqual([]);
  await clock.run(4);
  expect(fired).toHaveLength(1);
});

test("a process that was stopped for an hour loses a quarter of the time", async () => {
  const { clock, fired } = start(1000);
  clock.jump(3_600_000);
  await clock.run(749);
  expect(fired).toEqual([]);
  await clock.run(1);
  expect(fired).toEqual([3_600_750]);
});

test("before it calls back, the sockets have their turn", async () => {
  const { clock, fired, timer } = start(1000);
  clock.advance(1000);
  // As a socket would that is read only now.
  timer.cancel();
  await settle();
  expect(fired).toEqual([]);
});

test.each([0, 250, 600, 1000])("cancelled after %d ms it never calls back", async (ms) => {
  const { clock, fired, timer } = start(1000);
  clock.advance(ms);
  timer.cancel();
  timer.cancel();
  await clock.run(10_000);
  expect(fired).toEqual([]);
});
