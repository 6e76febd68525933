import { tickText } from "../report/axis.js";
import { figure, type LinePanel } from "../report/plot.js";
import { type Report, type Section, short, type Table } from "../report/write.js";
import { median } from "../report.js";
import type { ConnectionsMeasurement, ConnectionsPlan, Restart } from "./measure.js";

/** One size, medians over the rounds. */
export interface ConnectionsRow {
  connections: number;
  /** Processes the clients were in. */
  processes: number;
  open: number;
  connectsPerSecond: number;
  serverCpuUsPerConnect: number | undefined;
  callsPerSecond: number;
  clientCpuUsPerCall: number;
  serverCpuUsPerCall: number;
  /** Of the raw echo. */
  rawCallsPerSecond: number;
  rawServerCpuUsPerCall: number;
  rssKibPerConnection: number | undefined;
  heapKibPerConnection: number | undefined;
  /** Calls of all rounds, as each side counted them. */
  made: number;
  served: number;
  /** From listening again to the first reply of the last client. */
  allBackMs: number;
  attemptsPerClient: number;
  /** Calls on a new connection that were lost with it, over all rounds. */
  failedAgain: number;
  /** In the busiest bucket once the loss itself is over. */
  peakAttemptsPerSecond: number;
  /** Of the last round. */
  timeline: Timeline;
}

/** Counts in buckets of `bucketMs`, from the moment the provider was killed. */
export interface Timeline {
  bucketMs: number;
  listeningMs: number;
  lost: number[];
  attempts: number[];
  connected: number[];
  back: number[];
}

const bucketMs = 100;

function timelineOf({ listeningMs, lostMs, attemptsMs, connectedMs, backMs }: Restart): Timeline {
  const buckets = Math.floor((backMs.at(-1) ?? 0) / bucketMs) + 2;
  const count = (momentsMs: readonly number[]) => {
    const counts = new Array<number>(buckets).fill(0);
    for (const ms of momentsMs) {
      const at = Math.min(buckets - 1, Math.max(0, Math.floor(ms / bucketMs)));
      counts[at] = (counts[at] ?? 0) + 1;
    }
    return counts;
  };
  return {
    bucketMs,
    listeningMs,
    lost: count(lostMs),
    attempts: count(attemptsMs),
    connected: count(connectedMs),
    back: count(backMs),
  };
}

/** The most attempts of one bucket after the last client has learned of the loss: what backoff and jitter make of it. */
function peakPerSecond({ attemptsMs, lostMs }: Restart): number {
  const from = (lostMs.at(-1) ?? 0) + bucketMs;
  const counts = new Map<number, number>();
  for (const ms of attemptsMs) {
    if (ms < from) continue;
    const bucket = Math.floor(ms / bucketMs);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  return (Math.max(0, ...counts.values()) * 1000) / bucketMs;
}

export function toRow(
  connections: number,
  processes: number,
  all: readonly ConnectionsMeasurement[],
): ConnectionsRow {
  const of = (value: (one: ConnectionsMeasurement) => number) => median(all.map(value));
  const some = (value: (one: ConnectionsMeasurement) => number | undefined) => {
    const values = all.map(value).filter((one) => one !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const sum = (value: (one: ConnectionsMeasurement) => number) =>
    all.reduce((total, one) => total + value(one), 0);
  const last = all.at(-1);
  if (last === undefined) throw new Error(`nothing was measured with ${connections} connections`);
  return {
    connections,
    processes,
    open: of((one) => one.open),
    connectsPerSecond: of((one) => one.connectsPerSecond),
    serverCpuUsPerConnect: some((one) => one.serverCpuUsPerConnect),
    callsPerSecond: of((one) => one.callsPerSecond),
    clientCpuUsPerCall: of((one) => one.clientCpuUsPerCall),
    serverCpuUsPerCall: of((one) => one.serverCpuUsPerCall),
    rawCallsPerSecond: of(({ raw }) => raw.callsPerSecond),
    rawServerCpuUsPerCall: of(({ raw }) => raw.serverCpuUsPerCall),
    rssKibPerConnection: some((one) => one.rssKibPerConnection),
    heapKibPerConnection: some((one) => one.heapKibPerConnection),
    made: sum((one) => one.made),
    served: sum((one) => one.served),
    allBackMs: of(({ restart }) => (restart.backMs.at(-1) ?? Number.NaN) - restart.listeningMs),
    attemptsPerClient: of(({ restart }) => restart.attemptsMs.length / connections),
    failedAgain: sum(({ restart }) => restart.failed),
    peakAttemptsPerSecond: of(({ restart }) => peakPerSecond(restart)),
    timeline: timelineOf(last.restart),
  };
}

function callsTable(rows: readonly ConnectionsRow[]): Table {
  const first = rows[0];
  return {
    head: [
      "connections",
      "client processes",
      "open at the provider",
      "opened/s",
      "provider µs/connection",
      "calls/s",
      "calls/s against the first",
      "clients µs/call",
      "provider µs/call",
      "raw echo calls/s",
      "raw echo µs/call",
      "calls/s against the echo",
      "RSS KiB each",
      "heap KiB each",
    ],
    lines: rows.map((row) => [
      row.connections.toLocaleString("en-US"),
      String(row.processes),
      row.open.toLocaleString("en-US"),
      short(row.connectsPerSecond),
      short(row.serverCpuUsPerConnect),
      short(row.callsPerSecond),
      `x ${short(row.callsPerSecond / (first?.callsPerSecond ?? Number.NaN))}`,
      short(row.clientCpuUsPerCall),
      short(row.serverCpuUsPerCall),
      short(row.rawCallsPerSecond),
      short(row.rawServerCpuUsPerCall),
      `x ${short(row.callsPerSecond / row.rawCallsPerSecond)}`,
      short(row.rssKibPerConnection),
      short(row.heapKibPerConnection),
    ]),
  };
}

function restartTable(rows: readonly ConnectionsRow[]): Table {
  return {
    head: [
      "connections",
      "away ms",
      "all back after ms",
      "attempts a client",
      "most attempts/s after the loss",
      "calls lost again",
    ],
    lines: rows.map((row) => [
      row.connections.toLocaleString("en-US"),
      short(row.timeline.listeningMs),
      short(row.allBackMs),
      short(row.attemptsPerClient),
      short(row.peakAttemptsPerSecond),
      String(row.failedAgain),
    ]),
  };
}

interface Measure {
  title: string;
  label: string;
  lines: readonly { name: string; of(row: ConnectionsRow): number | undefined }[];
}

function panelOf(rows: readonly ConnectionsRow[], { title, label, lines }: Measure): LinePanel {
  return {
    kind: "lines",
    title,
    x: { label: "connections", unit: "count", scale: "log", ticks: rows.map((row) => row.connections) },
    y: { label, unit: "count", scale: "auto" },
    lines: lines.map(({ name, of }) => ({
      name,
      points: rows.flatMap((row) => {
        const y = of(row);
        return y === undefined ? [] : [{ x: row.connections, y }];
      }),
    })),
  };
}

function timelinePanel({ connections, timeline }: ConnectionsRow): LinePanel {
  const perSecond = (counts: readonly number[]) =>
    counts.map((count, index) => ({
      x: ((index + 0.5) * timeline.bucketMs) / 1000,
      y: (count * 1000) / timeline.bucketMs,
    }));
  return {
    kind: "lines",
    title: `${tickText(connections, "count")} clients`,
    x: { label: "seconds since the provider was killed", unit: "count", scale: "linear" },
    y: { label: "per second, in steps of 100 ms", unit: "count", scale: "linear" },
    lines: [
      { name: "attempts to connect", points: perSecond(timeline.attempts), markers: false },
      { name: "first replies", points: perSecond(timeline.back), markers: false },
    ],
    moments: [{ x: timeline.listeningMs / 1000, text: "listening again" }],
  };
}

function costSection(rows: readonly ConnectionsRow[], plan: ConnectionsPlan): Section {
  const title = `Connections to one provider, ${plan.inFlight} calls in flight over all of them`;
  const panels = [
    panelOf(rows, {
      title: "Throughput",
      label: "calls/s",
      lines: [{ name: "calls", of: (row) => row.callsPerSecond }],
    }),
    panelOf(rows, {
      title: "CPU per call",
      label: "µs",
      lines: [
        { name: "clients", of: (row) => row.clientCpuUsPerCall },
        { name: "provider", of: (row) => row.serverCpuUsPerCall },
      ],
    }),
    panelOf(rows, {
      title: "Opening connections",
      label: "connections/s",
      lines: [{ name: "opened, each with a first call", of: (row) => row.connectsPerSecond }],
    }),
    panelOf(rows, {
      title: "Memory of the provider",
      label: "KiB per connection",
      lines: [
        { name: "resident", of: (row) => row.rssKibPerConnection },
        { name: "heap used", of: (row) => row.heapKibPerConnection },
      ],
    }),
  ];
  return {
    title: "Calls, memory, opening",
    text: [
      `Clients are channels with a connection of their own; ${plan.inFlight} calls are in flight, the next always over the next connection. Up to 200 connections a process are being opened at a time, each proven by a call; what one costs the provider says how many a second it can take, however busy the clients are. Memory is what the provider has more after garbage collection, over nine tenths of the connections; it is not given below 100.`,
    ],
    tables: [callsTable(rows)],
    plots: [{ name: "cost", title, svg: figure(title, panels) }],
  };
}

const registryText =
  "The provider registers in a folder that all clients watch. Its entry is taken out when its process is found gone, and there again when it listens again: then every client that hears of it tries at once, without waiting for its backoff.";

function restartSection(rows: readonly ConnectionsRow[], plan: ConnectionsPlan): Section {
  const title = "The provider is killed and started again on its port";
  const shown = rows.filter(({ connections }) => connections >= Math.min(100, rows.at(-1)?.connections ?? 1));
  return {
    title: "Restart of the provider",
    text: [
      `Every client has a call under way when the provider is killed (SIGKILL), and makes the next at once, with \`waitForReady\`. The provider is started again after ${plan.downMs} ms. All clients learn of the loss together and try once at once, which is refused; from then on each waits 1 s, 1.6 s, 2.56 s ... give or take 20 %, so that the attempts spread out.`,
      ...(plan.registry === "static" ? [] : [registryText]),
    ],
    tables: [restartTable(rows)],
    plots: [{ name: "restart", title, svg: figure(title, shown.map(timelinePanel)) }],
  };
}

export function connectionsReport(
  rows: readonly ConnectionsRow[],
  plan: ConnectionsPlan,
  leftOut: readonly string[],
): Report {
  const missing: Section = { title: "Left out", text: leftOut, tables: [], plots: [] };
  const measured = rows.length === 0 ? [] : [costSection(rows, plan), restartSection(rows, plan)];
  return {
    command: plan.registry === "static" ? "connections" : "connections-file",
    title: "Many connections to one provider",
    sections: leftOut.length === 0 ? measured : [...measured, missing],
    results: { rows, leftOut },
  };
}
