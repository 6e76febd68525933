import { expect, onTestFinished, test } from "vitest";
import { exitCodeOf, listenForEnd } from "../../src/node/signals.js";
import { ManualClock } from "../../src/testing/index.js";

type Step = readonly [signal: NodeJS.Signals, afterMs: number];

/** What is asked of a server that gets these signals, without sending any to the process of the tests. */
function asked(steps: readonly Step[]): string[] {
  const clock = new ManualClock();
  const before = new Map(endings.map((signal) => [signal, process.listeners(signal)]));
  const told: string[] = [];
  const stop = listenForEnd(clock, {
    drain: (signal) => told.push(`drain ${signal}`),
    hurry: (signal) => told.push(`hurry ${signal}`),
  });
  onTestFinished(stop);
  const ours = new Map(
    endings.map((signal) => [
      signal,
      process.listeners(signal).filter((listener) => !before.get(signal)?.includes(listener)),
    ]),
  );
  for (const [signal, afterMs] of steps) {
    clock.advance(afterMs);
    for (const listener of ours.get(signal) ?? []) listener(signal);
  }
  stop();
  expect(endings.map((signal) => process.listeners(signal))).toEqual([...before.values()]);
  return told;
}

const endings: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP"];

test.each<[string, readonly Step[], readonly string[]]>([
  ["one", [["SIGTERM", 0]], ["drain SIGTERM"]],
  [
    "the end of a terminal, told twice",
    [
      ["SIGHUP", 0],
      ["SIGHUP", 5000],
    ],
    ["drain SIGHUP"],
  ],
  [
    "SIGTERM twice",
    [
      ["SIGTERM", 0],
      ["SIGTERM", 0],
    ],
    ["drain SIGTERM", "hurry SIGTERM"],
  ],
  [
    "Ctrl-C beneath npm, which comes twice",
    [
      ["SIGINT", 0],
      ["SIGINT", 150],
    ],
    ["drain SIGINT"],
  ],
  [
    "Ctrl-C, and again",
    [
      ["SIGINT", 0],
      ["SIGINT", 150],
      ["SIGINT", 50],
    ],
    ["drain SIGINT", "hurry SIGINT"],
  ],
  [
    "SIGTERM and Ctrl-C",
    [
      ["SIGTERM", 0],
      ["SIGINT", 0],
    ],
    ["drain SIGTERM", "hurry SIGINT"],
  ],
  [
    "SIGHUP and SIGTERM",
    [
      ["SIGHUP", 0],
      ["SIGTERM", 0],
    ],
    ["drain SIGHUP", "hurry SIGTERM"],
  ],
  [
    "a third",
    [
      ["SIGTERM", 0],
      ["SIGTERM", 0],
      ["SIGTERM", 0],
    ],
    ["drain SIGTERM", "hurry SIGTERM"],
  ],
])("%s", (_, steps, expected) => {
  expect(asked(steps)).toEqual(expected);
});

test("the exit code is the shells'", () => {
  expect(endings.map(exitCodeOf)).toEqual([143, 130, 129]);
});
