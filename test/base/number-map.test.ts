import { expect, test } from "vitest";
import { NumberMap } from "../../src/base/number-map.js";
import { seeded } from "../support/async.js";

test("it holds what a map would", () => {
  const random = seeded(5);
  const ours = new NumberMap<string>();
  const map = new Map<number, string>();
  for (let i = 0; i < 20_000; i++) {
    const key = Math.floor(random() * 200);
    if (random() < 0.5) {
      ours.set(key, `${i}`);
      map.set(key, `${i}`);
    } else expect(ours.delete(key)).toBe(map.delete(key));
    expect([ours.size, ours.get(key)]).toEqual([map.size, map.get(key)]);
  }
  expect([ours.keys(), ours.values()]).toEqual([[...map.keys()], [...map.values()]]);
});
