import { type Axis, tickText } from "../report/axis.js";
import { figure, type LinePanel } from "../report/plot.js";
import { type Report, type Section, short, type Table } from "../report/write.js";
import type { GrowthAxis } from "./axes.js";
import type { GrowthRow } from "./measure.js";

const cpuUs = (row: GrowthRow) => row.clientCpuUsPerCall + row.serverCpuUsPerCall;

/** Beyond this ratio between the dearest and the cheapest step a line is not called flat; rounds differ by less. */
const flatWithin = 1.3;

function tableOf(axis: GrowthAxis, rows: readonly GrowthRow[]): Table {
  const withBytes = axis.unit === "bytes";
  const other = axis.series[1]?.name;
  const head = [
    "",
    axis.name,
    "calls/s",
    ...(withBytes ? ["MiB/s"] : []),
    "caller µs/call",
    "provider µs/call",
    "CPU against the first step",
    ...(other === undefined ? [] : [`CPU against: ${other}`]),
  ];
  const lines = rows.map((row) => {
    const first = rows.find(({ series }) => series === row.series) ?? row;
    return [
      row.series,
      axis.unit === "bytes" ? tickText(row.value, "bytes") : row.value.toLocaleString("en-US"),
      short(row.callsPerSecond),
      ...(withBytes ? [short(row.bytesPerSecond / 2 ** 20)] : []),
      short(row.clientCpuUsPerCall),
      short(row.serverCpuUsPerCall),
      `x ${short(cpuUs(row) / cpuUs(first))}`,
      ...(other === undefined ? [] : [beside(row, other, rows)]),
    ];
  });
  return { head, lines };
}

/** CPU of a step divided by that of the same step of the other series. */
function beside(row: GrowthRow, other: string, rows: readonly GrowthRow[]): string {
  const peer = rows.find(({ series, value }) => series === other && value === row.value);
  return row.series === other || peer === undefined ? "-" : `x ${short(cpuUs(row) / cpuUs(peer))}`;
}

/** Whether CPU per call is flat, in a sentence for each series. */
function verdicts(axis: GrowthAxis, rows: readonly GrowthRow[]): string {
  const texts = axis.series.map(({ name }) => {
    const own = rows.filter(({ series }) => series === name);
    const sorted = [...own].sort((a, b) => cpuUs(a) - cpuUs(b));
    const [least, most] = [sorted[0], sorted.at(-1)];
    if (least === undefined || most === undefined) return "";
    const ratio = cpuUs(most) / cpuUs(least);
    const steps = [least, most].map(({ value }) => tickText(value, axis.unit));
    return ratio <= flatWithin
      ? `${name}: CPU per call is flat (within x ${ratio.toFixed(2)}).`
      : `${name}: CPU per call is least at ${steps[0]} (${short(cpuUs(least))} µs) and most at ${steps[1]} (${short(cpuUs(most))} µs, x ${short(ratio)}).`;
  });
  return texts.join(" ");
}

function panelOf(
  axis: GrowthAxis,
  rows: readonly GrowthRow[],
  what: { title: string; label: string; unit: Axis["unit"] },
  lines: readonly { name: string; of(row: GrowthRow): number }[],
): LinePanel {
  return {
    kind: "lines",
    title: what.title,
    x: { label: axis.label, unit: axis.unit, scale: "log", ticks: axis.values },
    y: { label: what.label, unit: what.unit, scale: "auto" },
    lines: axis.series.flatMap(({ name }) =>
      lines.map((line) => ({
        name: [axis.series.length > 1 ? name : "", line.name].filter((part) => part !== "").join(", "),
        points: rows
          .filter(({ series }) => series === name)
          .map((row) => ({ x: row.value, y: line.of(row) })),
      })),
    ),
  };
}

function sectionOf(axis: GrowthAxis, all: readonly GrowthRow[]): Section {
  const rows = all.filter((row) => row.axis === axis.name);
  const panels = [
    panelOf(axis, rows, { title: "CPU per call", label: "µs", unit: "count" }, [
      { name: "caller", of: (row) => row.clientCpuUsPerCall },
      { name: "provider", of: (row) => row.serverCpuUsPerCall },
    ]),
    panelOf(axis, rows, { title: "Throughput", label: "calls/s", unit: "count" }, [
      { name: axis.series.length > 1 ? "" : "mprpc", of: (row) => row.callsPerSecond },
    ]),
  ];
  if (axis.unit === "bytes") {
    const moving = rows.filter(({ value }) => value > 0);
    panels.push(
      panelOf(axis, moving, { title: "Throughput", label: "bytes/s", unit: "bytes" }, [
        { name: "", of: (row) => row.bytesPerSecond },
      ]),
    );
  }
  const title = `${axis.title}: cost of a call`;
  return {
    title: axis.title,
    text: [...axis.about, verdicts(axis, rows)],
    tables: [tableOf(axis, rows)],
    plots: [{ name: axis.name, title, svg: figure(title, panels) }],
  };
}

export function growthReport(axes: readonly GrowthAxis[], rows: readonly GrowthRow[]): Report {
  return {
    command: "growth",
    title: "What a call costs as things grow",
    sections: axes.map((axis) => sectionOf(axis, rows)),
    results: rows,
  };
}
