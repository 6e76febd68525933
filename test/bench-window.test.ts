import { expect, test } from "vitest";
import { windowOf } from "./bench/src/window.js";

/** A process that is not run until so many windows have passed. */
function late(calls: readonly number[]) {
  let windows = 0;
  const mark = async (): Promise<number> => calls[Math.min(windows++, calls.length - 1)] as number;
  return { mark, windows: () => windows };
}

const itself = (calls: number): number => calls;

test("a window in which nothing came goes on: a rate of nothing says nothing", async () => {
  const { mark, windows } = late([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
  expect(await windowOf(1, mark, itself)).toBe(3);
  expect(windows()).toBe(11);
});

test("with fewer calls than wanted it goes on, up to eight times as long", async () => {
  const enough = late([5, 12, 20]);
  expect(await windowOf(1, enough.mark, itself, 16)).toBe(20);
  const slow = late([1]);
  expect(await windowOf(1, slow.mark, itself, 16)).toBe(1);
  expect(slow.windows()).toBe(8);
});

test("nothing at all is told, not measured", async () => {
  await expect(windowOf(650, async () => 0, itself)).rejects.toThrow("nothing came within 5200 ms");
}, 60_000);
