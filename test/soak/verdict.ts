import { type Fit, type Flatness, fitLine, judge } from "./flatness.js";
import type { Memory, Sample } from "./protocol.js";

const mebibyte = 1024 * 1024;

/** What must stay flat, and how fast it may grow at most. */
interface Subject {
  what: string;
  unit: string;
  /** Per hour, in `unit`. */
  bound: number;
  /** What it must have grown by in all before that is a fault: less is what caches and tables do, however short the run. */
  least: number;
  /** Undefined in the seconds that do not count. */
  of(sample: Sample): number | undefined;
}

const afterGc = (field: keyof Memory) => (sample: Sample) => {
  const bytes = sample.afterGc?.[field];
  return bytes === undefined ? undefined : bytes / mebibyte;
};

/**
 * A bound is a day's growth by 24 times as much. Buffers come and go with calls of 1 MiB, and resident memory is the
 * system's and the allocator's as well, so their bounds are wider.
 */
export const subjects: readonly Subject[] = [
  { what: "heap after GC", unit: "MiB", bound: 1, least: 1, of: afterGc("heapUsedBytes") },
  { what: "external after GC", unit: "MiB", bound: 4, least: 4, of: afterGc("externalBytes") },
  { what: "resident memory after GC", unit: "MiB", bound: 30, least: 30, of: afterGc("rssBytes") },
  { what: "handles", unit: "", bound: 2, least: 4, of: ({ handles }) => handles },
  { what: "file descriptors", unit: "", bound: 2, least: 4, of: ({ descriptors }) => descriptors },
];

export interface Verdict {
  /** Of the process. */
  name: string;
  what: string;
  unit: string;
  /** Per hour. */
  bound: number;
  /** Over seconds since the load began; the slope is per hour. */
  fit: Fit;
  /** The mean of the points. */
  mean: number;
  flatness: Flatness;
  text: string;
}

/** At the beginning caches fill and code is compiled: that much of the run, but in a short one more. */
const warmUpShare = 0.15;
const warmUpLeastSeconds = 90;

export const warmUpSeconds = (seconds: number): number =>
  Math.max(seconds * warmUpShare, Math.min(warmUpLeastSeconds, seconds / 2));

const rounded = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : "?");

export function verdictsOf({
  samples,
  steady,
  startedMs,
  seconds,
}: {
  samples: ReadonlyMap<string, readonly Sample[]>;
  steady: readonly string[];
  startedMs: number;
  seconds: number;
}): Verdict[] {
  return steady.flatMap((name) =>
    subjects.map(({ what, unit, bound, least, of }) => {
      const points = (samples.get(name) ?? []).flatMap((sample) => {
        const atSeconds = (sample.atMs - startedMs) / 1000;
        const y = of(sample);
        const counts = atSeconds >= warmUpSeconds(seconds) && atSeconds <= seconds;
        return counts && y !== undefined ? [{ x: atSeconds / 3600, y }] : [];
      });
      const fit = fitLine(points);
      const flatness = judge(fit, bound, least);
      const mean = points.reduce((sum, { y }) => sum + y, 0) / points.length;
      const per = `${unit === "" ? "" : `${unit} `}an hour`;
      const text = `${rounded(fit.slope)} ${per} (95 %: ${rounded(fit.low)} to ${rounded(fit.high)}, bound ${bound})`;
      return { name, what, unit, bound, fit, mean, flatness, text };
    }),
  );
}
