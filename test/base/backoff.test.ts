import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff, registryBackoff, subchannelBackoff } from "../../src/base/backoff.js";

const middle = () => 0.5;

test("a peer: 1 s, times 1.6, up to 120 s", () => {
  const backoff = new Backoff(subchannelBackoff, middle);
  const delays = Array.from({ length: 13 }, () => Math.round(backoff.next()));
  expect(delays).toEqual([
    1000, 1600, 2560, 4096, 6554, 10486, 16777, 26844, 42950, 68719, 109951, 120000, 120000,
  ]);
});

test("the registry: drawn from 0..delay, capped at 2 s", () => {
  const backoff = new Backoff(registryBackoff, middle);
  expect(Array.from({ length: 7 }, () => backoff.next())).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
});

test("reset begins again", () => {
  const backoff = new Backoff(subchannelBackoff, middle);
  backoff.next();
  backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(1000);
});

test("an initial delay beyond the maximum is cut to it", () => {
  const backoff = new Backoff({ initialMs: 500, maxMs: 100, factor: 2, jitter: 0 }, middle);
  expect([backoff.next(), backoff.next()]).toEqual([100, 100]);
});

test("jitter stays within its share of the delay, whatever the random numbers", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.array(random, { minLength: 1, maxLength: 30 }), (draws) => {
      let i = 0;
      const backoff = new Backoff(subchannelBackoff, () => draws[i++] ?? 0);
      let plainMs = subchannelBackoff.initialMs;
      for (let n = 0; n < draws.length; n++) {
        const delayMs = backoff.next();
        expect(delayMs).toBeGreaterThanOrEqual(plainMs * 0.8 - 1e-6);
        expect(delayMs).toBeLessThanOrEqual(plainMs * 1.2 + 1e-6);
        plainMs = Math.min(plainMs * subchannelBackoff.factor, subchannelBackoff.maxMs);
      }
    }),
  );
});

test("the same seed gives the same delays", () => {
  const seeded = () => {
    let state = 7;
    return new Backoff(registryBackoff, () => {
      state = (state * 16807) % 2147483647;
      return state / 2147483647;
    });
  };
  const [a, b] = [seeded(), seeded()];
  for (let i = 0; i < 20; i++) expect(a.next()).toBe(b.next());
});
