import type { Measurement } from "../pair.js";
import type { Load } from "../target.js";
import { figure, type LinePanel } from "./plot.js";
import type { Plot } from "./write.js";

type Row = Load & Measurement & { target: string };

const cpuUs = (row: Row) => row.clientCpuUsPerCall + row.serverCpuUsPerCall;
const smallBytes = 20;

function linePanel(
  rows: readonly Row[],
  { title, label, of }: { title: string; label: string; of(row: Row): number },
): LinePanel {
  const targets = [...new Set(rows.map(({ target }) => target))];
  const loads = [...new Set(rows.map(({ inFlight }) => inFlight))].sort((a, b) => a - b);
  return {
    kind: "lines",
    title,
    x: { label: "calls in flight on one connection", unit: "count", scale: "log", ticks: loads },
    y: { label, unit: "count", scale: "log" },
    lines: targets.map((name) => ({
      name,
      points: rows.filter(({ target }) => target === name).map((row) => ({ x: row.inFlight, y: of(row) })),
    })),
  };
}

/** The small call over the number in flight, a line for each target. */
export function linePlots(rows: readonly Row[]): Plot[] {
  const small = rows.filter(({ payloadBytes }) => payloadBytes === smallBytes);
  if (small.length === 0) return [];
  const title = `Unary Login of ${smallBytes} B over loopback, one connection`;
  const panels = [
    linePanel(small, { title: "Throughput", label: "calls/s", of: (row) => row.callsPerSecond }),
    linePanel(small, { title: "CPU, both sides", label: "µs per call", of: cpuUs }),
    linePanel(small, { title: "Latency, median", label: "µs", of: (row) => row.p50Us }),
    linePanel(small, { title: "Latency, 99th percentile", label: "µs", of: (row) => row.p99Us }),
  ];
  return [{ name: "calls", title, svg: figure(title, panels) }];
}

/** The targets beside each other, at the most calls in flight of each payload. */
export function barPlots(rows: readonly Row[]): Plot[] {
  return [...new Set(rows.map(({ payloadBytes }) => payloadBytes))].map((bytes) => {
    const own = rows.filter(({ payloadBytes }) => payloadBytes === bytes);
    const inFlight = Math.max(...own.map((row) => row.inFlight));
    const bars = (of: (row: Row) => number, descending: boolean) =>
      own
        .filter((row) => row.inFlight === inFlight)
        .map((row) => ({ name: row.target, value: of(row) }))
        .sort((a, b) => (descending ? b.value - a.value : a.value - b.value));
    const size = bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
    const title = `Login of ${size}, ${inFlight} in flight`;
    const axis = (label: string) => ({
      label: `${label}, log axis`,
      unit: "count" as const,
      scale: "log" as const,
    });
    const svg = figure(title, [
      {
        kind: "bars",
        title: "Throughput",
        x: axis("calls/s"),
        bars: bars((row) => row.callsPerSecond, true),
      },
      { kind: "bars", title: "CPU, both sides", x: axis("µs per call"), bars: bars(cpuUs, false) },
    ]);
    return { name: `targets-${bytes}`, title, svg };
  });
}
