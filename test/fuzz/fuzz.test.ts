import { expect, test } from "vitest";
import { Fuzzer } from "./fuzzer.js";
import { laneNames } from "./lanes.js";
import { record } from "./recorded.js";

test("what is recorded is the same in every run, frame by frame", async () => {
  const [one, other] = [await record(), await record()];
  const bytes = (frames: readonly Buffer[]): string[] => frames.map((frame) => frame.toString("hex"));
  expect(bytes(one.asked).join() === bytes(other.asked).join()).toBe(true);
  expect(bytes(one.answered).join() === bytes(other.answered).join()).toBe(true);
  // Settings, calls, a cancel, chunks; settings, replies, errors, going away, chunks.
  expect(one.asked.length).toBeGreaterThanOrEqual(14);
  expect(one.answered.length).toBeGreaterThanOrEqual(13);
  for (const { requests, replies } of one.classic.values()) {
    expect([requests.length, replies.length]).toEqual([4, 4]);
  }
});

// The whole of it is `npm run fuzz`; a failure names the command that plays its case again.
test("mutated frames of evil callers and evil providers: no crash, no hang, honest peers served", async () => {
  const frames = 4000;
  await using fuzzer = await Fuzzer.start({ frames, seed: 20, untilMs: Infinity });
  const report = await fuzzer.run();
  for (const lane of laneNames) expect(report.frames[lane], lane).toBeGreaterThan(frames / 50);
  expect(report.honestCalls).toBeGreaterThan(0);
}, 120_000);
