import { expect, test } from "vitest";
import { StreamTable } from "../../../src/protocol/http2/stream-table.js";
import { seeded } from "../../support/async.js";

test("a table of streams holds what a map would, whatever order they end in", () => {
  const random = seeded(3);
  const table = new StreamTable<{ id: number }>();
  const map = new Map<number, { id: number }>();
  for (let id = 1; id < 40_000; id += 2) {
    const stream = { id };
    table.add(stream);
    map.set(id, stream);
    // Few live long; how many are open goes up and down.
    const most = id % 8000 < 4000 ? 40 : 700;
    for (const one of [...map.values()]) {
      if (map.size <= most || random() < 0.02) break;
      if (one.id % 101 === 0 && random() < 0.9) continue;
      table.delete(one);
      table.delete(one);
      map.delete(one.id);
    }
    expect(table.size).toBe(map.size);
    const probe = 1 + 2 * Math.floor(random() * (id / 2));
    expect(table.get(probe)).toBe(map.get(probe));
  }
  expect(table.all()).toEqual([...map.values()]);
  for (const stream of table.all()) table.delete(stream);
  expect([table.size, table.all()]).toEqual([0, []]);
});

test("a stream that outlives thousands of others stays", () => {
  const table = new StreamTable<{ id: number }>();
  const long = { id: 2 };
  table.add(long);
  for (let id = 4; id < 10_000; id += 2) {
    const stream = { id };
    table.add(stream);
    expect(table.get(2)).toBe(long);
    table.delete(stream);
    expect(table.get(id)).toBeUndefined();
  }
  expect(table.all()).toEqual([long]);
});
