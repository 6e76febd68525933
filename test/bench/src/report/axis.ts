import { scaleLinear, scaleLog, scaleSymlog } from "d3-scale";

/** How the numbers of an axis are written. */
export type Unit = "count" | "bytes";

export interface Axis {
  /** With the unit: `CPU per call, µs`. */
  label: string;
  unit: Unit;
  /** `log` has a place for 0 as well; `auto` is log where the values span more than `autoLogFrom` to one. */
  scale: "log" | "linear" | "auto";
  /** Where ticks go; without it, round numbers. */
  ticks?: readonly number[];
}

/** A linear axis from 0 shows best how flat a line is, up to this ratio of its values. */
const autoLogFrom = 12;

export interface ScaledAxis {
  place(value: number): number;
  ticks: readonly number[];
}

/** What the values of one axis come to on `range`, in pixels. */
export function scaleAxis(axis: Axis, values: readonly number[], range: [number, number]): ScaledAxis {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (finite.length === 0) return { place: () => range[0], ticks: [] };
  const isLog = axis.scale === "log" || (axis.scale === "auto" && low > 0 && high / low > autoLogFrom);
  if (!isLog) return linear(axis, Math.min(0, low), high, range);
  return low > 0 ? logarithmic(axis, low, high, range) : withZero(axis, finite, range);
}

function linear(axis: Axis, low: number, high: number, range: [number, number]): ScaledAxis {
  const scale = scaleLinear([low, high > low ? high * 1.08 : low + 1], range);
  return { place: (value) => scale(value), ticks: axis.ticks ?? scale.ticks(5) };
}

function logarithmic(axis: Axis, low: number, high: number, range: [number, number]): ScaledAxis {
  const narrow = high / low < 1.5;
  // With ticks of its own an axis ends at its values; otherwise it leaves a little room above and below.
  const [from, to] = axis.ticks === undefined || narrow ? [low / 1.25, high * 1.25] : [low, high];
  const scale = scaleLog([from, to], range);
  return { place: (value) => scale(value), ticks: axis.ticks ?? logTicks(axis.unit, from, to) };
}

/** 0 stands as far to the left of the smallest other value as the next one stands to the right of it. */
function withZero(axis: Axis, values: readonly number[], range: [number, number]): ScaledAxis {
  const [first = 1, second = 10 * first] = [...new Set(values.filter((value) => value > 0))].sort(
    (a, b) => a - b,
  );
  // A symmetric log is log(1 + x / constant), and this makes the two steps equal, near enough.
  const constant = first / (second / first - 1);
  const scale = scaleSymlog([0, Math.max(...values, first)], range).constant(constant);
  return { place: (value) => scale(value), ticks: axis.ticks ?? [...new Set(values)] };
}

/** Powers of ten with as many steps between them as the span has room for; for bytes, powers of two. */
function logTicks(unit: Unit, from: number, to: number): number[] {
  const decades = Math.log10(to / from);
  const steps = decades > 2.5 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
  const base = unit === "bytes" ? 2 ** Math.max(1, Math.round((decades * Math.log2(10)) / 5)) : 10;
  const ticks: number[] = [];
  const last = Math.ceil(Math.log(to) / Math.log(base));
  for (let power = Math.floor(Math.log(from) / Math.log(base)); power <= last; power += 1) {
    const near = unit === "bytes" ? [base ** power] : steps.map((step) => step * base ** power);
    ticks.push(...near.filter((tick) => tick >= from && tick <= to));
  }
  return ticks;
}

const trimmed = (value: number) => String(Number(value.toPrecision(3)));

/** A short text: `1.5 k`, `2 M`, `64 KiB`. */
export function tickText(value: number, unit: Unit): string {
  const base = unit === "bytes" ? 1024 : 1000;
  const names = unit === "bytes" ? [" B", " KiB", " MiB", " GiB"] : ["", "k", "M", "G"];
  let scaled = value;
  let at = 0;
  while (Math.abs(scaled) >= base && at < names.length - 1) {
    scaled /= base;
    at += 1;
  }
  return `${trimmed(scaled)}${names[at]}`;
}
