import fc from "fast-check";
import { expect, test } from "vitest";
import { LineQueue } from "../../src/logger/line-queue.js";

test("a batch ends with the day, with the size, or with the queue", () => {
  const queue = new LineQueue();
  for (const line of ["aa\n", "bb\n", "cc\n"]) queue.push(line, 20250101);
  queue.push("dd\n", 20250102);
  expect([queue.length, queue.chars]).toEqual([4, 12]);
  expect(queue.take(7)).toEqual({ text: "aa\nbb\n", lines: 2, day: 20250101 });
  expect(queue.take(100)).toEqual({ text: "cc\n", lines: 1, day: 20250101 });
  expect(queue.take(1)).toEqual({ text: "dd\n", lines: 1, day: 20250102 });
  expect(queue.take(100)).toBeUndefined();
  expect([queue.length, queue.chars]).toEqual([0, 0]);
});

test("dropping the oldest of a long queue leaves the rest in order", () => {
  const queue = new LineQueue();
  for (let n = 0; n < 30_000; n += 1) queue.push(`${n}\n`, 1);
  for (let n = 0; n < 29_998; n += 1) queue.shift();
  expect([queue.length, queue.chars]).toEqual([2, 12]);
  queue.push("x\n", 1);
  expect(queue.take(100)?.text).toBe("29998\n29999\nx\n");
  queue.shift();
  expect(queue.length).toBe(0);
});

test("behaves as a plain list, whatever the order of pushes, shifts and takes", () => {
  const step = fc.oneof(
    fc.record({ push: fc.string({ maxLength: 20 }), day: fc.integer({ min: 1, max: 3 }) }),
    fc.constant("shift" as const),
    fc.record({ take: fc.integer({ min: 1, max: 60 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new LineQueue();
      let model: { line: string; day: number }[] = [];
      for (const one of steps) {
        if (one === "shift") {
          queue.shift();
          model = model.slice(1);
        } else if ("push" in one) {
          queue.push(one.push, one.day);
          model.push({ line: one.push, day: one.day });
        } else {
          const batch = queue.take(one.take);
          const taken = model.slice(0, batch?.lines ?? 0);
          expect(batch?.text ?? "").toBe(taken.map(({ line }) => line).join(""));
          expect(taken.every(({ day }) => day === batch?.day)).toBe(true);
          expect(batch === undefined).toBe(model.length === 0);
          const next = model[taken.length];
          const text = batch?.text ?? "";
          if (next?.day === batch?.day && next !== undefined) {
            expect(text.length + next.line.length).toBeGreaterThan(one.take);
          }
          model = model.slice(taken.length);
        }
        expect(queue.length).toBe(model.length);
        expect(queue.chars).toBe(model.reduce((sum, { line }) => sum + line.length, 0));
      }
    }),
  );
});
