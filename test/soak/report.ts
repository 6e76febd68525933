import type { Axis } from "../bench/src/report/axis.js";
import { figure, type Line, type LinePanel, type Panel } from "../bench/src/report/plot.js";
import type { SpanPanel } from "../bench/src/report/spans.js";
import { type Report, type Section, short, type Table } from "../bench/src/report/write.js";
import { stallOf } from "./judge.js";
import { faultKinds } from "./plan.js";
import type { Sample } from "./protocol.js";
import type { SoakResult } from "./soak.js";
import { warmUpSeconds } from "./verdict.js";

const mebibyte = 1024 * 1024;
/** Points of a line: a pixel or two each. */
const bucketsMax = 120;

interface Point {
  x: number;
  y: number;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const most = (values: readonly number[]) => Math.max(...values);

const signs = { kill: "kill -9", stop: "SIGTERM, drained" } as const;

/** The pictures' parts, all over the minutes of the run. */
class Drawing {
  readonly #result: SoakResult;
  readonly #bucketSeconds: number;
  readonly names: readonly string[];

  constructor(result: SoakResult) {
    this.#result = result;
    this.#bucketSeconds = Math.max(1, Math.ceil(result.seconds / bucketsMax));
    this.names = [...result.samples.keys()].sort();
  }

  get #time(): Axis {
    return { label: "minutes", unit: "count", scale: "linear" };
  }

  /** One value a bucket, of all samples in it that have one. */
  points(
    samples: readonly Sample[],
    of: (sample: Sample) => number | undefined,
    join: (values: readonly number[]) => number = mean,
  ): Point[] {
    const buckets = new Map<number, number[]>();
    for (const sample of samples) {
      const seconds = (sample.atMs - this.#result.startedMs) / 1000;
      const value = of(sample);
      if (value === undefined || seconds < 0 || seconds > this.#result.seconds) continue;
      const bucket = Math.floor(seconds / this.#bucketSeconds);
      const values = buckets.get(bucket) ?? [];
      buckets.set(bucket, values);
      values.push(value);
    }
    return [...buckets]
      .sort(([a], [b]) => a - b)
      .map(([bucket, values]) => ({ x: ((bucket + 0.5) * this.#bucketSeconds) / 60, y: join(values) }));
  }

  #panel(
    title: string,
    label: string,
    lines: readonly Line[],
    scale: "linear" | "log" = "linear",
  ): LinePanel {
    return { kind: "lines", title, x: this.#time, y: { label, unit: "count", scale }, lines };
  }

  /** A line for each process, over all its lives. */
  each(title: string, label: string, of: (sample: Sample) => number, names = this.names): LinePanel {
    const lines = names.map((name) => ({
      ...{ name, markers: false },
      points: this.points(this.#result.samples.get(name) ?? [], of),
    }));
    return this.#panel(title, label, lines);
  }

  heapAfterGc(): LinePanel {
    const { steady, samples, verdicts, seconds } = this.#result;
    const lines = steady.flatMap((name): Line[] => {
      const { fit } = verdicts.find((one) => one.name === name && one.what === "heap after GC") ?? {};
      const at = (minutes: number) => ({
        x: minutes,
        y: (fit?.intercept ?? Number.NaN) + (fit?.slope ?? Number.NaN) * (minutes / 60),
      });
      const heap = (sample: Sample) => sample.afterGc && sample.afterGc.heapUsedBytes / mebibyte;
      return [
        { name, markers: false, points: this.points(samples.get(name) ?? [], heap) },
        {
          ...{ name: `${name}, fitted`, markers: false, beside: name },
          points: [at(warmUpSeconds(seconds) / 60), at(seconds / 60)],
        },
      ];
    });
    return this.#panel("Heap after GC, and the fit", "MiB", lines);
  }

  failures(): LinePanel {
    const codes = [...new Set(Object.keys(this.#result.classes).map((name) => name.split("|")[1] ?? ""))];
    const callers = this.names.filter((name) => name.startsWith("caller"));
    const lines = codes
      .filter((code) => code !== "OK")
      .sort()
      .map((code) => {
        const perCaller = callers.map((name) =>
          this.points(this.#result.samples.get(name) ?? [], ({ ended }) =>
            Object.entries(ended).reduce(
              (sum, [key, count]) => sum + (key.split("|")[1] === code ? count : 0),
              0,
            ),
          ),
        );
        const sums = new Map<number, number>();
        for (const { x, y } of perCaller.flat()) sums.set(x, (sums.get(x) ?? 0) + y);
        const points = [...sums].sort(([a], [b]) => a - b).map(([x, y]) => ({ x, y }));
        return { name: code.toLowerCase().replaceAll("_", " "), markers: false, points };
      });
    return this.#panel("Calls that failed, all callers", "a second", lines);
  }

  loopDelay(name: string): LinePanel {
    const samples = this.#result.samples.get(name) ?? [];
    const least = 0.01;
    const line = (field: "p50" | "p99" | "max", join: typeof mean): Line => ({
      ...{ name: field, markers: false },
      points: this.points(samples, ({ loopDelayMs }) => Math.max(least, loopDelayMs[field]), join),
    });
    const lines = [line("p50", mean), line("p99", mean), line("max", most)];
    return this.#panel(`Event-loop delay of ${name}`, "ms", lines, "log");
  }

  lives(): SpanPanel {
    const { lives, disturbances, startedMs, options } = this.#result;
    const minutes = (ms: number) => Math.max(0, (ms - startedMs) / 60_000);
    const rows = this.names.map((name) => ({
      name,
      spans: lives
        .filter((life) => life.name === name)
        .map(({ fromSeconds, toSeconds }) => ({
          from: fromSeconds / 60,
          to: Math.min(toSeconds, this.#result.seconds) / 60,
        })),
      moments: disturbances
        .filter(({ target }) => target === name)
        .map(({ kind, fromMs }) => ({
          x: minutes(fromMs),
          sign: kind === "kill" || kind === "killCaller" ? signs.kill : signs.stop,
        })),
    }));
    const away = disturbances.filter(({ target }) => target === "registry");
    // Up from the end of one outage to the begin of the next.
    const bounds = [0, ...away.flatMap(({ fromMs, toMs = fromMs }) => [minutes(fromMs), minutes(toMs)])];
    const spans = bounds.flatMap((from, index) =>
      index % 2 === 0 ? [{ from, to: bounds[index + 1] ?? this.#result.seconds / 60 }] : [],
    );
    const registry = {
      ...{ name: options.registry, spans },
      moments: away.map(({ fromMs }) => ({ x: minutes(fromMs), sign: signs.kill })),
    };
    return {
      kind: "spans",
      title: "Who was there",
      x: this.#time,
      rows: options.registry === "zookeeper" ? [...rows, registry] : rows,
      signs: Object.values(signs),
    };
  }
}

const succeeded = ({ ended }: Sample) =>
  Object.entries(ended).reduce((sum, [name, count]) => sum + (name.split("|")[1] === "OK" ? count : 0), 0);

function picture(result: SoakResult): string {
  const drawing = new Drawing(result);
  const callers = drawing.names.filter((name) => name.startsWith("caller"));
  const panels: Panel[] = [
    drawing.lives(),
    drawing.each("Calls that succeeded", "a second", succeeded, callers),
    drawing.failures(),
    drawing.heapAfterGc(),
    drawing.each("Heap used", "MiB", ({ heapUsedBytes }) => heapUsedBytes / mebibyte),
    drawing.each("Resident memory", "MiB", ({ rssBytes }) => rssBytes / mebibyte),
    drawing.each("External, array buffers included", "MiB", ({ externalBytes }) => externalBytes / mebibyte),
    drawing.each("Handles: sockets, pipes", "count", ({ handles }) => handles),
    drawing.each("Calls in flight", "count", ({ inFlight }) => inFlight),
    ...result.steady.map((name) => drawing.loopDelay(name)),
  ];
  return figure(titleOf(result), panels);
}

const titleOf = ({ options, seconds }: SoakResult) =>
  `${short(seconds / 60)} minutes of calls under faults, seed ${options.seed}`;

const count = (value: number) => value.toLocaleString("en-US");

function verdictTable({ verdicts }: SoakResult): Table {
  return {
    head: ["process", "what", "mean", "slope an hour", "95 % from", "to", "bound", "verdict"],
    lines: verdicts.map(({ name, what, unit, mean: average, fit, bound, flatness }) => [
      ...[name, what, `${short(average)} ${unit}`.trim(), short(fit.slope)],
      ...[short(fit.low), short(fit.high), String(bound), flatness],
    ]),
  };
}

/** A line for each kind of calls, from both ends. */
function classTable({ classes }: SoakResult): Table {
  const kinds = [...new Set(Object.keys(classes).map((name) => name.split("|")[0] ?? ""))].sort();
  return {
    head: ["calls", "ended", "OK", "otherwise (code, executed)"],
    lines: kinds.map((kind) => {
      const own = Object.entries(classes).filter(([name]) => name.startsWith(`${kind}|`));
      const [ok, failed] = [
        own.filter(([name]) => name.includes("|OK|")),
        own.filter(([name]) => !name.includes("|OK|")),
      ];
      const sum = (some: typeof own) => some.reduce((total, [, one]) => total + one, 0);
      const how = failed
        .sort(([, a], [, b]) => b - a)
        .map(([name, one]) => `${name.split("|").slice(1).join(" ")}: ${count(one)}`);
      return [kind, count(sum(own)), count(sum(ok)), how.join(", ") || "-"];
    }),
  };
}

/** Of the machine rather than of the program, when others need it as well. */
const longestStallMs = ({ samples }: SoakResult) =>
  [...samples.values()].flat().reduce((longest, { loopDelayMs }) => Math.max(longest, loopDelayMs.max), 0);

const standstills = ({ samples }: SoakResult) =>
  [...samples.values()].flat().filter((sample) => stallOf(sample)?.kind === "standstill").length;

function factTable(result: SoakResult): Table {
  const { options, ledger, disturbances, leftOut, lives, samples, longestUnservedMs, faults, seconds } =
    result;
  const ended = Object.values(ledger.ends).reduce((sum, one) => sum + one, 0);
  const done = faultKinds.map((kind) => {
    const times = disturbances.filter((one) => one.kind === kind).length;
    return `${kind} ${times}`;
  });
  const values: [string, string][] = [
    [
      "load",
      `${count(options.rate)} calls/s asked for, ${count(Math.round(ended / seconds))} ended a second`,
    ],
    ["faults", `${done.join(", ")}; ${leftOut} left out, their target was away`],
    ["processes", `${lives.length} lives, ${samples.size} at a time, registry ${options.registry}`],
    ["calls that ended, nested ones included", count(ended)],
    ["handlers that ran", count(ledger.runs)],
    ["longest time a caller got no reply, ms", short(longestUnservedMs)],
    ["standstills of over 2 s, all processes", String(standstills(result))],
    ["longest time an event loop stood still, ms", short(longestStallMs(result))],
    ["what must not happen, and did", String(faults.length)],
  ];
  return { head: ["fact", "value"], lines: values };
}

export function soakReport(result: SoakResult): Report {
  const title = titleOf(result);
  const sections: Section[] = [
    {
      title: "What happened",
      text: [],
      tables: [factTable(result)],
      plots: [{ name: "", title, svg: picture(result) }],
    },
    { title: "What stays flat", text: [], tables: [verdictTable(result)], plots: [] },
    { title: "How calls ended", text: [], tables: [classTable(result)], plots: [] },
    ...(result.faults.length === 0
      ? []
      : [{ title: "Faults", text: result.faults.slice(0, 100), tables: [], plots: [] }]),
  ];
  const samples = Object.fromEntries(result.samples);
  return { command: "soak", title, sections, results: { ...result, samples } };
}
