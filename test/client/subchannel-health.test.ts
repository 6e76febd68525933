import { describe, expect, test } from "vitest";
import {
  type SubchannelEvent,
  SubchannelHealth,
  type SubchannelState,
  subchannelTransitions,
} from "../../src/client/subchannel-health.js";
import { ManualClock } from "../../src/testing/index.js";

function begin() {
  const clock = new ManualClock();
  const told: string[] = [];
  const health: SubchannelHealth = new SubchannelHealth(clock, () => 0.5, {
    onAvailability: () => told.push(health.state),
    onRetry: () => told.push("try"),
  });
  return { clock, health, told };
}

/** How a subchannel gets into each state. */
const into: Record<SubchannelState, (health: SubchannelHealth) => void> = {
  up: () => {},
  down: (health) => health.fail("refused"),
  retrying(health) {
    health.fail("refused");
    health.retryNow();
  },
  closed: (health) => health.close(),
};

const events: Record<SubchannelEvent, (health: SubchannelHealth) => void> = {
  failed: (health) => health.fail("lost"),
  retry: (health) => health.retryNow(),
  reached: (health) => health.reach(),
  retired: (health) => health.close(),
};

const states = Object.keys(into) as SubchannelState[];
const rows = states.flatMap((state) =>
  (Object.keys(events) as SubchannelEvent[]).map(
    (event): [SubchannelState, SubchannelEvent, SubchannelState] => [
      state,
      event,
      subchannelTransitions[state][event],
    ],
  ),
);

describe("the table of states", () => {
  test.each(rows)("%s, %s: %s", (state, event, next) => {
    const { health, told } = begin();
    into[state](health);
    expect(health.state).toBe(state);
    told.length = 0;
    events[event](health);
    expect(health.state).toBe(next);
    const available = (one: SubchannelState): boolean => one === "up";
    const announced = next !== "closed" && available(state) !== available(next);
    const tries = state === "down" && event === "retry";
    expect(told).toEqual([...(announced ? [next] : []), ...(tries ? ["try"] : [])]);
  });

  test("closed is for good, and only a frame from the provider leads back up", () => {
    expect(Object.values(subchannelTransitions.closed)).toEqual(Array(4).fill("closed"));
    const up = states.flatMap((state) =>
      (Object.keys(events) as SubchannelEvent[]).filter(
        (event) => state !== "up" && subchannelTransitions[state][event] === "up",
      ),
    );
    expect(up).toEqual(["reached", "reached"]);
  });
});

test("it is tried again by itself, later each time, until it is closed", async () => {
  const { clock, health, told } = begin();
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    health.fail("refused");
    const from = clock.now();
    while (health.state === "down") await clock.advance(10);
    waits.push(clock.now() - from);
  }
  expect(told.filter((one) => one === "try")).toHaveLength(3);
  expect(waits[1]).toBeGreaterThan(waits[0] ?? Infinity);
  expect(waits[2]).toBeGreaterThan(waits[1] ?? Infinity);
  health.fail("refused");
  health.close();
  told.length = 0;
  await clock.advance(600_000);
  expect(told).toEqual([]);
});

test("one that was turned away is tried by its backoff alone", async () => {
  const { clock, health } = begin();
  health.fail("too many connections", true);
  await clock.advance(1);
  expect(health.probeable).toBe(false);
  health.hurry();
  expect(health.state).toBe("down");
  health.fail("refused");
  expect(health.probeable).toBe(true);
  health.hurry();
  expect(health.state).toBe("retrying");
});
