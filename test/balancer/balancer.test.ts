import { describe, expect, test } from "vitest";
import type { Candidate } from "../../src/balancer/balancer.js";
import { createBalancer } from "../../src/balancer/create.js";
import { PeakEwma } from "../../src/balancer/peak-ewma.js";
import { seeded } from "../support/async.js";

interface Fake extends Candidate {
  name: string;
  cost: number;
}

const fakes = (...weights: number[]): Fake[] =>
  weights.map((weight, i) => {
    const fake: Fake = { name: "abcdefgh"[i] as string, weight, cost: 0, load: () => fake.cost };
    return fake;
  });

function count(name: "roundrobin" | "random" | "p2c", candidates: Fake[], picks: number) {
  const balancer = createBalancer<Fake>(name, seeded(42));
  balancer.update(candidates);
  const counts: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const picked = balancer.pick(0) as Fake;
    counts[picked.name] = (counts[picked.name] ?? 0) + 1;
  }
  return counts;
}

test.each(["roundrobin", "random", "p2c"] as const)("%s: none gives none, one gives that one", (name) => {
  const balancer = createBalancer<Fake>(name, seeded(1));
  balancer.update([]);
  expect(balancer.pick(0)).toBeUndefined();
  const [only] = fakes(3) as [Fake];
  balancer.update([only]);
  expect([balancer.pick(0), balancer.pick(0)]).toEqual([only, only]);
  balancer.update([]);
  expect(balancer.pick(0)).toBeUndefined();
});

describe("round robin", () => {
  test("each in turn", () => {
    expect(count("roundrobin", fakes(1, 1, 1), 300)).toEqual({ a: 100, b: 100, c: 100 });
  });

  test("by weight, exactly, and spread", () => {
    expect(count("roundrobin", fakes(5, 1, 1), 700)).toEqual({ a: 500, b: 100, c: 100 });
    const balancer = createBalancer<Fake>("roundrobin", () => 0);
    balancer.update(fakes(5, 1, 1));
    const turn = Array.from({ length: 7 }, () => balancer.pick(0)?.name).join("");
    expect(`${turn}${turn}`).not.toMatch(/aaaaa/);
  });

  test("weights far apart stay in proportion, the small one is still served", () => {
    const counts = count("roundrobin", fakes(1_000_000, 1), 8194);
    expect(counts.b).toBeGreaterThan(0);
    expect(counts.b).toBeLessThan(10);
  });

  test("fractions of weights", () => {
    expect(count("roundrobin", fakes(0.5, 0.25), 300)).toEqual({ a: 200, b: 100 });
  });

  test("channels that start together do not begin with the same endpoint", () => {
    const firsts = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const balancer = createBalancer<Fake>("roundrobin", seeded(seed));
      balancer.update(fakes(1, 1, 1, 1));
      firsts.add((balancer.pick(0) as Fake).name);
    }
    expect(firsts.size).toBe(4);
  });

  test("a new list is used by the very next pick", () => {
    const balancer = createBalancer<Fake>("roundrobin", seeded(3));
    const [a, b, c] = fakes(1, 1, 1) as [Fake, Fake, Fake];
    balancer.update([a, b]);
    for (let i = 0; i < 5; i++) balancer.pick(0);
    balancer.update([c]);
    expect(balancer.pick(0)).toBe(c);
  });
});

test("random: by weight", () => {
  const counts = count("random", fakes(1, 2, 5), 80_000);
  expect(counts.a).toBeGreaterThan(9_500);
  expect(counts.a).toBeLessThan(10_500);
  expect(counts.b).toBeGreaterThan(19_200);
  expect(counts.b).toBeLessThan(20_800);
});

describe("power of two choices", () => {
  test("equal ones share alike", () => {
    const counts = count("p2c", fakes(1, 1, 1, 1), 40_000);
    for (const share of Object.values(counts)) expect(Math.abs(share - 10_000)).toBeLessThan(5_200);
    expect(Object.keys(counts)).toHaveLength(4);
  });

  test("the slower of a pair is never taken, so the slowest of all gets nothing", () => {
    const candidates = fakes(1, 1, 1);
    (candidates[2] as Fake).cost = 10;
    expect(count("p2c", candidates, 1000).c).toBeUndefined();
  });

  test("a weight divides the load", () => {
    const candidates = fakes(10, 1);
    (candidates[0] as Fake).cost = 50;
    (candidates[1] as Fake).cost = 10;
    expect(count("p2c", candidates, 100)).toEqual({ a: 100 });
  });

  test("the two are always distinct", () => {
    const asked = new Set<string>();
    const balancer = createBalancer<Fake>("p2c", seeded(5));
    const candidates = fakes(1, 1);
    for (const one of candidates) {
      one.load = () => {
        asked.add(one.name);
        return 1;
      };
    }
    balancer.update(candidates);
    for (let i = 0; i < 50; i++) {
      asked.clear();
      balancer.pick(0);
      expect(asked.size).toBe(2);
    }
  });
});

describe("peak EWMA", () => {
  test("a rise counts at once, a fall as time passes", () => {
    const ewma = new PeakEwma();
    ewma.observe(10, 0);
    expect(ewma.load(0, 0)).toBe(10);
    ewma.observe(100, 0);
    expect(ewma.load(0, 0)).toBe(100);
    ewma.observe(10, 0);
    expect(ewma.load(0, 0)).toBe(100);
    ewma.observe(10, 10_000);
    expect(ewma.load(0, 10_000)).toBeCloseTo(10 + 90 / Math.E, 5);
  });

  test("a call given up raises it, and never lowers it", () => {
    const ewma = new PeakEwma();
    ewma.observe(50, 0);
    ewma.observeAtLeast(5, 9_000);
    ewma.observe(50, 0);
    expect(ewma.load(0, 0)).toBe(50);
    ewma.observeAtLeast(500, 0);
    expect(ewma.load(0, 0)).toBe(500);
  });

  test("without calls an old peak fades", () => {
    const ewma = new PeakEwma();
    ewma.observe(1000, 0);
    expect(ewma.load(0, 10_000)).toBeCloseTo(1000 / Math.E, 5);
  });

  test("calls in flight multiply it", () => {
    const ewma = new PeakEwma();
    ewma.observe(10, 0);
    expect(ewma.load(4, 0)).toBe(50);
  });

  test("an unknown endpoint gets one probe, not a herd", () => {
    const ewma = new PeakEwma();
    expect(ewma.load(0, 0)).toBe(0);
    expect(ewma.load(1, 0)).toBeGreaterThan(1e6);
  });

  test("time that seems to go back does no harm", () => {
    const ewma = new PeakEwma();
    ewma.observe(10, 1000);
    ewma.observe(5, 0);
    expect(ewma.load(0, 0)).toBe(10);
  });
});
