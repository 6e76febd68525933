import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamBudget } from "../../src/protocol/mprpc/streams/budget.js";
import {
  creditMaxBytes,
  ReceiveWindow,
  SendWindow,
  windowBytes,
  windowMaxBytes,
} from "../../src/protocol/mprpc/streams/credit.js";

const KiB = 1024;

describe("SendWindow", () => {
  test("adds up, and refuses 0 and what goes over 2^31 - 1", () => {
    const window = new SendWindow(100);
    window.take(40);
    expect(window.add(5)).toBeUndefined();
    expect(window.credit).toBe(65);
    expect(window.add(0)).toBe("credit of 0 bytes");
    expect(window.add(creditMaxBytes)).toBe(`credit that comes to ${creditMaxBytes + 65} bytes`);
    expect(window.add(creditMaxBytes - 65)).toBeUndefined();
    expect(window.credit).toBe(creditMaxBytes);
  });

  test("one more message waits for its credit where that comes; now and then it shows that it is short", () => {
    const window = new SendWindow(1000);
    window.take(700);
    expect(window.neededAfter(300)).toBe(32);
    window.take(100);
    // Shown once as soon as there has been more than ever before, and then seldom.
    expect(window.neededAfter(300)).toBe(32);
    const next = Array.from({ length: 64 }, () => window.neededAfter(300));
    expect(next.map((bytes, i) => (bytes === 32 ? i : -1)).filter((i) => i >= 0)).toEqual([31, 63]);
    // Of more than half a window nobody promises that it comes.
    expect(window.neededAfter(501)).toBe(32);
    window.add(1900);
    window.take(1900);
    expect(window.neededAfter(300)).toBe(32);
    expect(window.neededAfter(300)).toBe(300);
  });
});

describe("StreamBudget", () => {
  test("is bounded by its own and its parent's", () => {
    const all = new StreamBudget(100);
    const [one, other] = [new StreamBudget(80, all), new StreamBudget(80, all)];
    expect(one.reserve(70)).toBe(true);
    expect(other.free).toBe(30);
    expect(other.reserve(31)).toBe(false);
    expect(other.reserve(30)).toBe(true);
    one.release(70);
    expect([all.used, one.used, other.used]).toEqual([30, 0, 30]);
  });
});

describe("ReceiveWindow", () => {
  const startedWith = (startBytes: number, budgetBytes = 64 * KiB * KiB) => {
    const budget = new StreamBudget(budgetBytes);
    budget.force(startBytes);
    return { budget, window: new ReceiveWindow(budget, startBytes) };
  };

  test("what comes beyond its credit is refused", () => {
    const { window } = startedWith(windowBytes);
    expect(window.arrive(windowBytes)).toBe(true);
    expect(window.arrive(1)).toBe(false);
  });

  test("credit goes back at half a window, at a quarter when nothing lies here, and not for each message", () => {
    const { window } = startedWith(windowBytes);
    for (let at = 0; at < 3; at++) {
      window.arrive(16 * KiB);
      window.take(16 * KiB);
      expect(window.give(true)).toBe(0);
    }
    window.arrive(16 * KiB);
    window.take(16 * KiB);
    expect(window.give(false)).toBe(0);
    expect(window.give(true)).toBe(64 * KiB);
    expect(window.credit).toBe(windowBytes);
  });

  test("a small start grows to a whole window as soon as half of it is used, if there is room", () => {
    const { window, budget } = startedWith(16 * KiB);
    window.arrive(8 * KiB);
    expect(window.give(false)).toBe(0);
    window.arrive(32);
    expect(window.give(false)).toBe(windowBytes - 16 * KiB);
    expect(budget.used).toBe(windowBytes);
    const tight = startedWith(16 * KiB, 20 * KiB);
    tight.window.arrive(10 * KiB);
    expect(tight.window.give(false)).toBe(0);
    tight.window.take(10 * KiB);
    expect(tight.window.give(true)).toBe(10 * KiB);
  });

  test("a window grows where its sender runs short and its reader keeps up, and only there", () => {
    const { window } = startedWith(windowBytes);
    for (let round = 0; round < 10; round++) {
      const bytes = window.credit;
      window.arrive(bytes);
      window.take(bytes);
      window.give(true);
    }
    expect(window.size).toBe(windowBytes);
    for (let round = 0; round < 10; round++) {
      const bytes = window.credit;
      window.arrive(bytes);
      window.onShort();
      window.take(bytes);
      window.give(true);
    }
    expect(window.size).toBe(windowBytes);
    for (let round = 0; round < 10; round++) {
      const bytes = window.credit;
      window.arrive(bytes);
      window.take(bytes);
      window.onShort();
      window.give(true, true);
    }
    expect(window.size).toBe(windowMaxBytes);
  });

  test.each([
    ["64 B: not at all", 64 + 32, windowBytes],
    ["300 B: up to 1 MiB", 300 + 32, 1024 * KiB],
    ["2 KiB: as far as any", 2 * KiB + 32, windowMaxBytes],
  ])("a window grows with the size of its messages, %s", (_, costBytes, most) => {
    const { window } = startedWith(windowBytes);
    for (let round = 0; round < 10; round++) {
      while (window.arrive(costBytes)) window.take(costBytes);
      window.onShort();
      window.give(true);
    }
    expect(window.size).toBe(most);
  });

  test("a window that grows leaves half of the budget to others", () => {
    const { window, budget } = startedWith(windowBytes, 1024 * KiB);
    for (let at = 0; at < 10; at++) {
      const bytes = window.credit;
      window.arrive(bytes);
      window.take(bytes);
      window.onShort();
      window.give(true);
    }
    expect(window.size).toBe(512 * KiB);
    expect(budget.used).toBe(512 * KiB);
    const parent = new StreamBudget(100);
    const child = new StreamBudget(1000, parent);
    expect(child.reserveSpare(51)).toBe(false);
    expect(child.reserveSpare(50)).toBe(true);
  });

  test("a large message that is waited for gets all that is missing, once", () => {
    const { window, budget } = startedWith(windowBytes, windowBytes + KiB * KiB);
    window.arrive(windowBytes);
    expect(window.giveFor(2 * KiB * KiB, false)).toBeUndefined();
    expect(window.giveFor(500 * KiB, false)).toBe(500 * KiB);
    expect(window.giveFor(500 * KiB, false)).toBe(0);
    expect(budget.used).toBe(windowBytes + 500 * KiB);
    window.arrive(500 * KiB);
    window.take(windowBytes + 500 * KiB);
    expect(budget.used).toBe(windowBytes);
    window.close();
    expect(budget.used).toBe(0);
  });

  test("credit and what lies here never come to more than the budget, whatever happens", () => {
    const step = fc.record({
      kind: fc.constantFrom("arrive", "take", "give", "wanted"),
      bytes: fc.nat(300 * KiB),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { window, budget } = startedWith(16 * KiB, 2 * KiB * KiB);
        let held = 0;
        for (const { kind, bytes } of steps) {
          if (kind === "arrive" && window.arrive(bytes)) held += bytes;
          else if (kind === "take" && bytes <= held) {
            window.take(bytes);
            held -= bytes;
          } else if (kind === "give") window.give(held === 0);
          else if (kind === "wanted" && held === 0) window.giveFor(bytes, false);
          expect(window.credit).toBeGreaterThanOrEqual(0);
          expect(budget.used).toBeLessThanOrEqual(2 * KiB * KiB);
        }
      }),
    );
  });
});
