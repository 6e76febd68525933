import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { fitLine, judge } from "./flatness.js";
import { type Nearby, objection } from "./judge.js";
import { LedgerBook, LedgerPen } from "./ledger.js";
import { planFaults } from "./plan.js";
import { soakReport } from "./report.js";
import { soak } from "./soak.js";

describe("a short soak", () => {
  test("is passed: calls of all kinds, under all faults but the registry's", async () => {
    if (!existsSync(new URL("../../lib/index.js", import.meta.url)))
      throw new Error("there is no lib/index.js: run npm run lib first");
    const options = {
      ...{ minutes: 0.1, seed: 4, rate: 240, registry: "file" as const },
      ...{ faultEveryMs: 700, gcEveryMs: 1000, connectionMaxAgeMs: 2000 },
    };
    const lines: string[] = [];
    const result = await soak(options, (text) => lines.push(text));
    expect(result.faults, lines.join("\n")).toEqual([]);

    // On a slow machine the target of a fault may be away still.
    expect(result.disturbances.length).toBeGreaterThan(1);
    expect(result.disturbances.length + result.leftOut).toBe(7);
    expect(result.disturbances.length).toBe(result.lives.length - result.samples.size);
    for (const name of result.steady) expect(result.lives.filter((one) => one.name === name)).toHaveLength(1);

    const kinds = new Set(Object.keys(result.classes).map((name) => name.split("|")[0]));
    for (const kind of [
      "small",
      "large",
      "relay",
      "oneway",
      "json",
      "controller",
      "classic",
      "cancelled",
      "late",
    ])
      expect(kinds, kind).toContain(kind);
    const { ends, runs } = result.ledger;
    expect(ends.ok).toBeGreaterThan(ends.maybe + ends.never);
    expect(runs).toBeGreaterThan(ends.ok);

    const { sections } = soakReport(result);
    const [first] = sections;
    expect(first?.plots[0]?.svg).toMatch(/^<svg .*Event-loop delay of provider-0.*<\/svg>\n$/s);
    expect(first?.tables[0]?.lines).toContainEqual(["what must not happen, and did", "0"]);
  }, 60_000);

  test("has the same faults for the same seed", () => {
    const options = { durationMs: 600_000, everyMs: 10_000, providers: 3, callers: 2, registry: true };
    const plan = planFaults({ seed: 7, ...options });
    expect(planFaults({ seed: 7, ...options })).toEqual(plan);
    expect(planFaults({ seed: 8, ...options })).not.toEqual(plan);
    expect(new Set(plan.map(({ kind }) => kind)).size).toBe(5);
  });
});

/** What is found in the files that `write` makes. */
function faultsOf(write: (caller: LedgerPen, provider: LedgerPen) => void): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-ledger-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [caller, provider] = [new LedgerPen(folder, 1), new LedgerPen(folder, 2)];
  const faults: string[] = [];
  const book = new LedgerBook(folder, (text) => faults.push(text));
  write(caller, provider);
  book.read();
  caller.close();
  provider.close();
  book.close();
  return faults;
}

describe("the ledger", () => {
  test("has nothing against calls that ended as they ran", () => {
    const faults = faultsOf((caller, provider) => {
      for (const [call, outcome] of [
        [1, "ok"],
        [2, "yes"],
        [3, "maybe"],
        [100_000, "ok"],
      ] as const) {
        provider.run(1, call);
        caller.end(call, outcome);
      }
      caller.end(4, "never");
      caller.end(5, "maybe");
      caller.end(6, "sent");
    });
    expect(faults).toEqual([]);
  });

  test.each([
    [
      "a call that ran, though its caller was told never",
      (caller: LedgerPen, provider: LedgerPen) => {
        caller.end(3, "never");
        provider.run(1, 3);
      },
      ["the handler of call 1:3 ran, and its caller was told executed: never"],
    ],
    [
      "a call that ran twice",
      (_: LedgerPen, provider: LedgerPen) => {
        provider.run(1, 3);
        provider.run(1, 3);
      },
      ["the handler of call 1:3 ran twice"],
    ],
    [
      "a call that ended twice",
      (caller: LedgerPen) => {
        caller.end(3, "maybe");
        caller.end(3, "maybe");
      },
      ["call 1:3 ended twice"],
    ],
    [
      "a success that no handler is behind",
      (caller: LedgerPen) => caller.end(3, "ok"),
      ["call 1:3 ended ok, and no handler ran"],
    ],
  ])("finds %s", (_what, write, expected) => {
    expect(faultsOf(write)).toEqual(expected);
  });
});

describe("the classes of ends", () => {
  const near = (...kinds: Nearby[]) => new Set(kinds);

  test.each([
    ["small|OK|yes", near()],
    ["late|DEADLINE_EXCEEDED|maybe", near()],
    ["bug|UNKNOWN|yes", near()],
    ["small|UNAVAILABLE|maybe", near("kill")],
    ["classic|UNAVAILABLE|never", near("away")],
    ["classic|UNAVAILABLE|maybe", near("stall")],
    ["classic|UNAVAILABLE|never", near("listed")],
    ["small|UNAVAILABLE|maybe", near("stall", "standstill")],
    ["nested|CANCELLED|maybe", near("killCaller")],
  ])("takes %s", (name, faults) => {
    expect(objection(name, 1, faults)).toBeUndefined();
  });

  test.each([
    [
      "small|UNAVAILABLE|maybe",
      near(),
      "1 small calls ended UNAVAILABLE, executed maybe, with no fault near",
    ],
    ["small|UNAVAILABLE|never", near("drain"), "1 small calls ended UNAVAILABLE, executed never, near drain"],
    [
      "small|UNAVAILABLE|maybe",
      near("drain", "stall"),
      "1 small calls ended UNAVAILABLE, executed maybe, near drain, stall",
    ],
    [
      "small|DEADLINE_EXCEEDED|maybe",
      near("kill"),
      "1 small calls ended DEADLINE_EXCEEDED, executed maybe, near kill",
    ],
    [
      "classic|UNAVAILABLE|maybe",
      near("listed"),
      "1 classic calls ended UNAVAILABLE, executed maybe, near listed",
    ],
    ["bug|OK|yes", near(), "1 bug calls succeeded"],
  ])("objects to %s", (name, faults, expected) => {
    expect(objection(name, 1, faults)).toBe(expected);
  });
});

describe("the fit", () => {
  const line = (slope: number, noise: number) =>
    Array.from({ length: 40 }, (_, index) => ({
      x: index / 40,
      y: 10 + (slope * index) / 40 + (index % 2 === 0 ? noise : -noise),
    }));

  test("finds slope and intercept, and how sure they are", () => {
    const exact = fitLine(line(3, 0));
    expect(exact.slope).toBeCloseTo(3);
    expect(exact.intercept).toBeCloseTo(10);
    expect(exact.high - exact.low).toBeCloseTo(0);
    // With x from 0 to 9 and residuals of ±1, by the textbook: s = 1.101, sxx = 82.5, t(8) = 2.306.
    const ten = Array.from({ length: 10 }, (_, x) => ({ x, y: x % 2 === 0 ? 1 : -1 }));
    const { slope, low, high } = fitLine(ten);
    expect(slope).toBeCloseTo(-0.0606, 4);
    expect((high - low) / 2).toBeCloseTo(0.2795, 3);
  });

  test("is flat, grows, or is undecided", () => {
    expect(judge(fitLine(line(0, 0.1)), 1, 0.5)).toBe("flat");
    expect(judge(fitLine(line(3, 0.1)), 1, 0.5)).toBe("grows");
    expect(judge(fitLine(line(3, 0.1)), 1, 5)).toBe("undecided");
    expect(judge(fitLine(line(0, 10)), 1, 0.5)).toBe("undecided");
    expect(judge(fitLine(line(3, 0).slice(0, 2)), 1, 0.5)).toBe("undecided");
    expect(judge(fitLine([]), 1, 0.5)).toBe("undecided");
  });
});
