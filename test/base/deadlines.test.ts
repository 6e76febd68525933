import { describe, expect, it } from "vitest";
import { DeadlineWheel, Expiring } from "../../src/base/deadlines.js";
import { ManualClock } from "../../src/testing/index.js";

class Item extends Expiring {
  firedMs: number | undefined;
  readonly #clock: ManualClock;
  readonly #then: () => void;

  constructor(clock: ManualClock, timeoutMs: number, then: () => void = () => {}) {
    super();
    this.#clock = clock;
    this.#then = then;
    this.deadlineMs = clock.now() + timeoutMs;
  }

  override onDeadline(): void {
    this.firedMs = this.#clock.now();
    this.#then();
  }
}

/** Lets time pass as it does: in small steps, so that an early or late timer shows. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let i = 0; i < ms; i++) await clock.advance(1);
}

describe("DeadlineWheel", () => {
  it.each([0, 1, 3, 4, 5, 47, 48, 49, 50, 51, 200, 2047, 2048, 2049, 5000])(
    "fires a deadline of %d ms once, never early and at most 5 ms late",
    async (timeoutMs) => {
      const clock = new ManualClock();
      await clock.advance(3);
      const wheel = new DeadlineWheel(clock);
      const item = new Item(clock, timeoutMs);
      wheel.add(item);
      await pass(clock, timeoutMs + 20);
      expect(item.firedMs).toBeGreaterThanOrEqual(item.deadlineMs);
      expect(item.firedMs).toBeLessThanOrEqual(item.deadlineMs + 5);
      expect(wheel.size).toBe(0);
    },
  );

  it("fires a nearer deadline that is added while the timer is set for a farther one", async () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel(clock);
    const far = new Item(clock, 45);
    const near = new Item(clock, 10);
    wheel.add(far);
    wheel.add(near);
    await pass(clock, 16);
    expect(near.firedMs).toBeLessThanOrEqual(near.deadlineMs + 5);
    expect(far.firedMs).toBeUndefined();
    await pass(clock, 40);
    expect(far.firedMs).toBeGreaterThanOrEqual(far.deadlineMs);
  });

  it("never fires what was removed, nor what has no deadline", async () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel(clock);
    const removed = new Item(clock, 30);
    const forever = new Item(clock, Infinity);
    wheel.add(removed);
    wheel.add(forever);
    wheel.remove(removed);
    wheel.remove(removed);
    await pass(clock, 5000);
    expect([removed.firedMs, forever.firedMs]).toEqual([undefined, undefined]);
    expect(wheel.size).toBe(1);
  });

  it("lets one that falls due remove and add others", async () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel(clock);
    const victim = new Item(clock, 12);
    const late = new Item(clock, 40);
    const killer = new Item(clock, 11, () => {
      wheel.remove(victim);
      wheel.add(late);
    });
    wheel.add(victim);
    wheel.add(killer);
    await pass(clock, 60);
    expect(victim.firedMs).toBeUndefined();
    expect(killer.firedMs).toBeDefined();
    expect(late.firedMs).toBeGreaterThanOrEqual(late.deadlineMs);
  });

  it("catches up after a long pause", async () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel(clock);
    const items = [100, 900, 2500, 7000].map((timeoutMs) => new Item(clock, timeoutMs));
    for (const item of items) wheel.add(item);
    await clock.advance(60_000);
    expect(items.every(({ firedMs }) => firedMs !== undefined)).toBe(true);
  });

  it("sets no timer once it is empty", async () => {
    const clock = new ManualClock();
    const wheel = new DeadlineWheel(clock);
    const item = new Item(clock, 5000);
    wheel.add(item);
    wheel.remove(item);
    await pass(clock, 60);
    expect(clock.timers).toBe(0);
  });
});
