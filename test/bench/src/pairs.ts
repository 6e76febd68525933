import { log, positive } from "./arguments.js";
import { Pair, type Window } from "./pair.js";
import { short } from "./report/write.js";
import { median } from "./report.js";
import type { TargetName } from "./target.js";

/** How two targets are compared. */
export interface PairsPlan {
  /** Of each load. */
  pairs: number;
  window: Window;
  pin: boolean;
}

/** The options of commands that compare two targets. */
export const pairsOptions = {
  pairs: { type: "string" },
  "measure-ms": { type: "string" },
  pin: { type: "boolean", default: true },
  report: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** `values`: as `parseArgs` gives them. */
export function planOf(values: { pairs?: string; "measure-ms"?: string; pin: boolean }): PairsPlan {
  const measureMs = positive("measure-ms", values["measure-ms"], 400);
  const pairs = positive("pairs", values.pairs, 20);
  return { pairs, window: { warmMs: Math.ceil(measureMs / 3), measureMs }, pin: values.pin };
}

export const inFlights = [1, 16, 64, 256] as const;

/** Calls per second of `base` and of `other`, which does the same and something more. */
export interface Row {
  inFlight: number;
  base: number;
  other: number;
  ratios: number[];
  medianRatio: number;
  /** Of the median, at 95 %. */
  interval: readonly [number, number];
}

/** Where the median lies at 95 %: the order statistics that a sign test does not rule out. */
export function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const rank = Math.max(0, Math.floor((n - 1.96 * Math.sqrt(n)) / 2));
  return [sorted[rank] ?? Number.NaN, sorted[n - 1 - rank] ?? Number.NaN];
}

async function measureRow(base: Pair, other: Pair, inFlight: number, plan: PairsPlan): Promise<Row> {
  const load = { payloadBytes: 20, inFlight };
  const taken = { base: [] as number[], other: [] as number[] };
  for (let pair = 0; pair < plan.pairs; pair += 1) {
    const measure = async (name: "base" | "other", one: Pair): Promise<void> => {
      taken[name].push((await one.measure(load, plan.window)).callsPerSecond);
    };
    // Each is the first as often as the other.
    if (pair % 2 === 0) await measure("base", base);
    await measure("other", other);
    if (pair % 2 === 1) await measure("base", base);
  }
  const ratios = taken.other.map((rate, at) => rate / (taken.base[at] ?? Number.NaN));
  return {
    inFlight,
    base: median(taken.base),
    other: median(taken.other),
    ratios,
    medianRatio: median(ratios),
    interval: medianInterval(ratios),
  };
}

export async function withPair<T>(
  target: TargetName,
  pin: boolean,
  use: (pair: Pair) => Promise<T>,
): Promise<T> {
  const pair = await Pair.start(target, pin);
  try {
    return await use(pair);
  } finally {
    await pair.close();
  }
}

/** Short alternating pairs of two targets, for each number of calls in flight. */
export function measurePairs(base: TargetName, other: TargetName, plan: PairsPlan): Promise<Row[]> {
  return withPair(base, plan.pin, (first) =>
    withPair(other, plan.pin, async (second) => {
      const rows: Row[] = [];
      for (const inFlight of inFlights) {
        log(`${base} and ${other}: ${plan.pairs} pairs, ${inFlight} in flight`);
        rows.push(await measureRow(first, second, inFlight, plan));
      }
      return rows;
    }),
  );
}

/** `goal`: what is wanted of the ratio with so many calls in flight. */
export function pairsTable(
  names: readonly [string, string],
  rows: readonly Row[],
  goal: (inFlight: number) => string,
): { head: string[]; lines: string[][] } {
  return {
    head: ["in flight", ...names, "ratio", "95 % interval", "goal"],
    lines: rows.map((row) => [
      ...[String(row.inFlight), short(row.base), short(row.other), short(row.medianRatio)],
      ...[row.interval.map(short).join(" to "), goal(row.inFlight)],
    ]),
  };
}
