import { type Report, short, type Table } from "../report/write.js";

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
  /** Heap or resident memory of an open bidirectional stream, whichever is more. */
  kibPerStream: number;
}

const parts: Readonly<Record<string, string>> = {
  h2load: "h2load calls a provider",
  "cpp-caller": "the C++ gRPC caller calls a provider",
  "cpp-server": "a caller calls the C++ gRPC server",
  both: "each to itself, mprpc with interceptors, events, metadata and context",
  stream: "a server stream of 64 B, each to itself",
};

function tableOf(rows: readonly GrpcRow[]): Table {
  const lines = rows.map((row) => {
    const rival = rows.find((one) => one.contestant === "grpc-js" && one.inFlight === row.inFlight);
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
  return { head: ["target", "in flight", "a second", "of grpc-js", "server µs", "client µs"], lines };
}

function idleTable(idle: readonly GrpcIdle[]): Table {
  const lines = idle.map((one) => [one.contestant, short(one.kibPerConnection), short(one.kibPerStream)]);
  return { head: ["target", "KiB a connection", "KiB a stream"], lines };
}

export function grpcReport(rows: readonly GrpcRow[], idle: readonly GrpcIdle[]): Report {
  const sections = Object.entries(parts).flatMap(([part, title]) => {
    const own = rows.filter((row) => row.part === part);
    return own.length === 0 ? [] : [{ title, text: [], tables: [tableOf(own)], plots: [] }];
  });
  if (idle.length > 0) {
    sections.push({ title: "idle, at the provider", text: [], tables: [idleTable(idle)], plots: [] });
  }
  return { command: "grpc", title: "gRPC beside @grpc/grpc-js", sections, results: { rows, idle } };
}
