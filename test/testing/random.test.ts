import { expect, test } from "vitest";
import { SeededRandom } from "../../src/testing/index.js";

test("gives the words of the reference implementation of xoshiro128**", () => {
  const random = SeededRandom.fromState([1, 2, 3, 4]);
  const words = Array.from({ length: 8 }, () => random.word());
  // Printed by xoshiro128starstar.c of prng.di.unimi.it from the state 1, 2, 3, 4.
  expect(words).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849]);
});

test("the same seed and stream repeat, another seed or stream differs", () => {
  const draw = (seed: number, stream?: string) => {
    const random = SeededRandom.of(seed, stream);
    return Array.from({ length: 5 }, () => random.next());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(draw(7)).not.toEqual(draw(7, "network"));
  expect(draw(-1)).not.toEqual(draw(1));
});

test("stays in its limits and spreads over them", () => {
  const random = SeededRandom.of(1);
  const counts = new Map<number, number>();
  for (let draw = 0; draw < 6000; draw++) {
    const number = random.integer(3, 8);
    counts.set(number, (counts.get(number) ?? 0) + 1);
    const between = random.between(2, 3);
    if (!(between >= 2 && between < 3)) throw new Error(`${between} is out of its limits`);
  }
  expect([...counts.keys()].sort()).toEqual([3, 4, 5, 6, 7, 8]);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  expect([random.chance(0), random.chance(1)]).toEqual([false, true]);
  expect(["a", "b"]).toContain(random.pick(["a", "b"]));
  expect(() => random.pick([])).toThrow("nothing to choose from");
});
