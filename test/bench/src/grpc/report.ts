import { type BarPanel, figure } from "../report/plot.js";
import { type Plot, type Report, type Section, short, type Table } from "../report/write.js";

/** A contestant of one part under one load, medians over the rounds. */
export interface GrpcRow {
  part: string;
  inFlight: number;
  contestant: string;
  /** Messages of the stream, where it is one. */
  callsPerSecond: number;
  serverCpuUsPerCall: number;
  clientCpuUsPerCall: number;
}

/** What rests at a provider. */
export interface GrpcIdle {
  contestant: string;
  kibPerConnection: number;
  /** Of an open bidirectional stream: on the heap, and resident, in which the growth of V8's young generation is too. */
  heapKibPerStream: number;
  residentKibPerStream: number;
}

const parts: Readonly<Record<string, string>> = {
  h2load: "h2load calls a provider",
  "cpp-caller": "the C++ gRPC caller calls a provider",
  "cpp-server": "a caller calls the C++ gRPC server",
  tls: "mprpc to itself over gRPC, behind TLS and in clear",
  both: "each to itself, mprpc with interceptors, events, metadata and context",
  stream: "a server stream of 64 B, each to itself",
};

function tableOf(part: string, rows: readonly GrpcRow[]): Table {
  const measure = part === "tls" ? "mprpc-grpc" : "grpc-js";
  const lines = rows.map((row) => {
    const rival = rows.find((one) => one.contestant === measure && one.inFlight === row.inFlight);
    const ratio =
      rival === undefined || rival === row ? "" : `x ${short(row.callsPerSecond / rival.callsPerSecond)}`;
    return [
      row.contestant,
      String(row.inFlight),
      short(row.callsPerSecond),
      ratio,
      short(row.serverCpuUsPerCall),
      short(row.clientCpuUsPerCall),
    ];
  });
  const of = part === "tls" ? "of clear" : "of grpc-js";
  return { head: ["target", "in flight", "a second", of, "server µs", "client µs"], lines };
}

function idleTable(idle: readonly GrpcIdle[]): Table {
  const lines = idle.map((one) => [
    one.contestant,
    short(one.kibPerConnection),
    short(one.heapKibPerStream),
    short(one.residentKibPerStream),
  ]);
  return { head: ["target", "KiB a connection", "heap KiB a stream", "resident KiB a stream"], lines };
}

/** What the plot shows of each part: who calls whom. */
const panels: Readonly<Record<string, string>> = {
  h2load: "h2load calls a provider",
  "cpp-caller": "C++ calls a provider",
  "cpp-server": "a channel calls a C++ server",
  both: "Node.js calls Node.js",
};
const plotInFlight = 64;

/** Who else speaks gRPC, and how many calls a second that makes with either library. */
function clientsPlot(rows: readonly GrpcRow[]): Plot[] {
  const shown = rows.filter(({ inFlight }) => inFlight === plotInFlight);
  const bars = Object.entries(panels).flatMap(([part, title]): BarPanel[] => {
    const own = shown.filter((row) => row.part === part && row.contestant !== "mprpc-full");
    if (own.length === 0) return [];
    return [
      {
        kind: "bars",
        title,
        x: { label: "calls/s", unit: "count", scale: "linear" },
        bars: own.map(({ contestant, callsPerSecond }) => ({
          name: contestant === "grpc-js" ? "grpc-js" : "mprpc",
          value: callsPerSecond,
        })),
      },
    ];
  });
  if (bars.length === 0) return [];
  const title = `gRPC: a 20-byte Login, ${plotInFlight} in flight on one connection`;
  return [{ name: "clients", title, svg: figure(title, bars) }];
}

export function grpcReport(rows: readonly GrpcRow[], idle: readonly GrpcIdle[]): Report {
  const sections: Section[] = Object.entries(parts).flatMap(([part, title]) => {
    const own = rows.filter((row) => row.part === part);
    return own.length === 0 ? [] : [{ title, text: [], tables: [tableOf(part, own)], plots: [] }];
  });
  if (idle.length > 0) {
    sections.push({ title: "idle, at the provider", text: [], tables: [idleTable(idle)], plots: [] });
  }
  const plots = clientsPlot(rows);
  if (plots.length > 0) sections.push({ title: "side by side", text: [], tables: [], plots });
  return { command: "grpc", title: "gRPC beside @grpc/grpc-js", sections, results: { rows, idle } };
}
