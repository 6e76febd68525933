import type { Measurement } from "./pair.js";
import { barPlots, linePlots } from "./report/compare-plots.js";
import { type Report, type Section, short, type Table } from "./report/write.js";
import type { Load, TargetName } from "./target.js";

/** One row of the result: a target under a load, medians over the rounds. */
export interface Row extends Load, Measurement {
  target: TargetName;
}

export interface IdleRow {
  target: TargetName;
  kibPerIdleConnection: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export function medianOf(measurements: readonly Measurement[]): Measurement {
  const of = (key: keyof Measurement) => median(measurements.map((measurement) => measurement[key]));
  return {
    callsPerSecond: of("callsPerSecond"),
    p50Us: of("p50Us"),
    p99Us: of("p99Us"),
    clientCpuUsPerCall: of("clientCpuUsPerCall"),
    serverCpuUsPerCall: of("serverCpuUsPerCall"),
    clientRssMib: of("clientRssMib"),
    serverRssMib: of("serverRssMib"),
  };
}

const sizeText = (bytes: number) => (bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`);

function measurementTable(rows: readonly Row[]): Table {
  const head = [
    "target",
    "payload",
    "in flight",
    "calls/s",
    "p50 µs",
    "p99 µs",
    "client µs/call",
    "server µs/call",
    "client MiB",
    "server MiB",
  ];
  const lines = rows.map((row) => [
    row.target,
    sizeText(row.payloadBytes),
    String(row.inFlight),
    short(row.callsPerSecond),
    short(row.p50Us),
    short(row.p99Us),
    short(row.clientCpuUsPerCall),
    short(row.serverCpuUsPerCall),
    short(row.clientRssMib),
    short(row.serverRssMib),
  ]);
  return { head, lines };
}

const cpuUs = (row: Row) => row.clientCpuUsPerCall + row.serverCpuUsPerCall;

export interface Ratio extends Load {
  target: TargetName;
  against: TargetName;
  callsPerSecond: number;
  cpuPerCall: number;
  p99: number;
}

/** Each mprpc row divided by the raw and the grpc-js row of the same load. */
export function ratios(rows: readonly Row[]): Ratio[] {
  return rows
    .filter(({ target }) => target.startsWith("mprpc"))
    .flatMap((own) =>
      rows
        .filter(({ target }) => !target.startsWith("mprpc"))
        .filter((peer) => peer.payloadBytes === own.payloadBytes && peer.inFlight === own.inFlight)
        .map((peer) => ({
          target: own.target,
          against: peer.target,
          payloadBytes: own.payloadBytes,
          inFlight: own.inFlight,
          callsPerSecond: own.callsPerSecond / peer.callsPerSecond,
          cpuPerCall: cpuUs(own) / cpuUs(peer),
          p99: own.p99Us / peer.p99Us,
        })),
    );
}

function ratioTable(all: readonly Ratio[]): Table {
  const head = ["target / against", "payload", "in flight", "calls/s", "CPU per call", "p99"];
  const lines = all.map((ratio) => [
    `${ratio.target} / ${ratio.against}`,
    sizeText(ratio.payloadBytes),
    String(ratio.inFlight),
    short(ratio.callsPerSecond),
    ratio.cpuPerCall.toPrecision(2),
    ratio.p99.toPrecision(2),
  ]);
  return { head, lines };
}

interface Goal extends Load {
  what: string;
  against?: TargetName;
  measured: (own: Row, peer: Row | undefined) => number;
  goal: number;
  /** Whether larger is better. */
  atLeast: boolean;
}

const callsRatio = (own: Row, peer: Row | undefined) =>
  own.callsPerSecond / (peer?.callsPerSecond ?? Number.NaN);

/** What mprpc is held to; each against a peer of the same run where one is named. */
const goals: readonly Goal[] = [
  {
    what: "calls/s against grpc-js",
    payloadBytes: 20,
    inFlight: 256,
    against: "grpc-js",
    measured: callsRatio,
    goal: 30,
    atLeast: true,
  },
  {
    what: "calls/s against the raw echo",
    payloadBytes: 20,
    inFlight: 16,
    against: "raw",
    measured: callsRatio,
    goal: 0.5,
    atLeast: true,
  },
  {
    what: "round trip against the raw echo",
    payloadBytes: 20,
    inFlight: 1,
    against: "raw",
    measured: callsRatio,
    goal: 0.85,
    atLeast: true,
  },
  {
    what: "CPU per call against grpc-js",
    payloadBytes: 20,
    inFlight: 256,
    against: "grpc-js",
    measured: (own, peer) => cpuUs(own) / (peer === undefined ? Number.NaN : cpuUs(peer)),
    goal: 1 / 20,
    atLeast: false,
  },
  {
    what: "calls/s against the raw echo",
    payloadBytes: 65_536,
    inFlight: 16,
    against: "raw",
    measured: callsRatio,
    goal: 0.7,
    atLeast: true,
  },
  {
    what: "p99, µs",
    payloadBytes: 20,
    inFlight: 16,
    measured: (own) => own.p99Us,
    goal: 400,
    atLeast: false,
  },
];

/** The goals of which this run measured both sides. */
export function goalTable(rows: readonly Row[], idle: readonly IdleRow[]): Table {
  const find = (target: TargetName, { payloadBytes, inFlight }: Load) =>
    rows.find(
      (row) => row.target === target && row.payloadBytes === payloadBytes && row.inFlight === inFlight,
    );
  const verdict = (measured: number, goal: number, atLeast: boolean) =>
    (atLeast ? measured >= goal : measured <= goal) ? "met" : "missed";
  const lines = goals.flatMap((goal) => {
    const own = find("mprpc", goal);
    const peer = goal.against === undefined ? undefined : find(goal.against, goal);
    if (own === undefined || (goal.against !== undefined && peer === undefined)) return [];
    const measured = goal.measured(own, peer);
    const text = `${goal.atLeast ? ">=" : "<="} ${goal.goal}`;
    const load = [sizeText(goal.payloadBytes), String(goal.inFlight)];
    return [[goal.what, ...load, text, measured.toPrecision(3), verdict(measured, goal.goal, goal.atLeast)]];
  });
  const connection = idle.find(({ target }) => target === "mprpc")?.kibPerIdleConnection;
  if (connection !== undefined) {
    lines.push([
      "KiB per idle connection",
      "-",
      "-",
      "<= 20",
      connection.toPrecision(3),
      verdict(connection, 20, false),
    ]);
  }
  return { head: ["goal", "payload", "in flight", "wanted", "measured", ""], lines };
}

function idleTable(idle: readonly IdleRow[]): Table {
  const lines = idle.map(({ target, kibPerIdleConnection }) => [target, short(kibPerIdleConnection)]);
  return { head: ["target", "KiB per idle connection on the provider"], lines };
}

export function compareReport(rows: readonly Row[], idle: readonly IdleRow[]): Report {
  const all = ratios(rows);
  const section = (title: string, table: Table): Section => ({ title, text: [], tables: [table], plots: [] });
  const sections = [
    { ...section("Calls", measurementTable(rows)), plots: [...linePlots(rows), ...barPlots(rows)] },
    section("Ratios", ratioTable(all)),
    section("Idle connections", idleTable(idle)),
    section("Goals", goalTable(rows, idle)),
  ];
  return {
    command: "compare",
    title: "mprpc beside others",
    sections: sections.filter(({ tables }) => tables.some(({ lines }) => lines.length > 0)),
    results: { rows, ratios: all, idle },
  };
}
