import { type Report, type Section, short, type Table } from "../report/write.js";
import type { IdleStreamsRow, StalledRow } from "./held.js";
import type { StreamMeasurement } from "./pair.js";
import type { StreamLoad, StreamTargetName } from "./target.js";

/** A target under a load, medians over the rounds. */
export interface StreamRow extends StreamLoad, StreamMeasurement {
  target: StreamTargetName;
}

export interface StreamResults {
  rows: readonly StreamRow[];
  idle: readonly IdleStreamsRow[];
  stalled: readonly StalledRow[];
}

const kibBytes = 1024;

const sizeText = (bytes: number) => (bytes >= kibBytes ? `${bytes / kibBytes} KiB` : `${bytes} B`);

function loadCells({ kind, payloadBytes, streams, outstanding }: StreamLoad): string[] {
  const name = kind === "bidi" ? `bidi, ${outstanding} outstanding` : kind;
  return [name, sizeText(payloadBytes), String(streams)];
}

const isSameLoad = (one: StreamLoad, other: StreamLoad): boolean =>
  one.kind === other.kind &&
  one.payloadBytes === other.payloadBytes &&
  one.streams === other.streams &&
  one.outstanding === other.outstanding;

function rowTable(rows: readonly StreamRow[]): Table {
  const against = (row: StreamRow, name: StreamTargetName): string => {
    const other = rows.find((one) => one.target === name && isSameLoad(one, row));
    if (row.target !== "mprpc" || other === undefined) return "";
    return `x ${short(row.messagesPerSecond / other.messagesPerSecond)}`;
  };
  return {
    head: [
      "target",
      "kind",
      "payload",
      "streams",
      "messages/s",
      "MiB/s",
      "µs/message",
      "client",
      "server",
      "grpc-js",
      "raw",
    ],
    lines: rows.map((row) => [
      row.target,
      ...loadCells(row),
      short(row.messagesPerSecond),
      short((row.messagesPerSecond * row.payloadBytes) / kibBytes ** 2),
      short(row.cpuUsPerMessage),
      short(row.clientCpuUsPerMessage),
      short(row.serverCpuUsPerMessage),
      against(row, "grpc-js"),
      against(row, "raw"),
    ]),
  };
}

interface Goal {
  name: string;
  wanted: string;
  /** Undefined: not measured. */
  value: number | undefined;
  isMet: (value: number) => boolean;
}

function rateGoal(rows: readonly StreamRow[], peer: StreamTargetName, load: StreamLoad, least: number): Goal {
  const of = (name: StreamTargetName) =>
    rows.find((row) => row.target === name && isSameLoad(row, load))?.messagesPerSecond;
  const [own, other] = [of("mprpc"), of(peer)];
  return {
    name: `${loadCells(load).slice(0, 2).join(", ")}: messages/s against ${peer}`,
    wanted: `>= ${least}`,
    value: own === undefined || other === undefined ? undefined : own / other,
    isMet: (value) => value >= least,
  };
}

/** What is sought of streams, of one stream where nothing else is said. */
export function streamGoals({ rows, idle, stalled }: StreamResults): Goal[] {
  const load = (kind: StreamLoad["kind"], payloadBytes: number): StreamLoad => ({
    kind,
    payloadBytes,
    streams: 1,
    ...(kind === "bidi" ? { outstanding: 64 } : {}),
  });
  const [small, large] = [64, 65_536];
  const atMost = (most: number) => (value: number) => value <= most;
  const smallRow = rows.find((row) => row.target === "mprpc" && isSameLoad(row, load("server", small)));
  return [
    rateGoal(rows, "grpc-js", load("server", small), 30),
    {
      name: "server, 64 B: µs of CPU a message, both sides",
      wanted: "<= 1.5",
      value: smallRow?.cpuUsPerMessage,
      isMet: atMost(1.5),
    },
    rateGoal(rows, "grpc-js", load("client", small), 15),
    rateGoal(rows, "grpc-js", load("bidi", small), 15),
    rateGoal(rows, "grpc-js", load("server", large), 3),
    rateGoal(rows, "grpc-js", load("client", large), 3),
    rateGoal(rows, "raw", load("server", large), 0.8),
    rateGoal(rows, "raw", load("client", large), 0.8),
    ...idle
      .filter(({ target }) => target === "mprpc")
      .map(({ kind, streams, callerHeapBytes, providerHeapBytes }) => ({
        name: `${streams.toLocaleString("en-US")} idle ${kind} streams: KiB of heap each, the larger side`,
        wanted: "<= 2",
        value: Math.max(callerHeapBytes, providerHeapBytes) / kibBytes,
        isMet: atMost(2),
      })),
    ...stalled
      .filter(({ target }) => target === "mprpc")
      .map(({ streams, messagesPerSecondAlone, messagesPerSecondBeside }) => ({
        name: `${streams} streams beside a stalled one: messages/s against without it`,
        wanted: ">= 0.9",
        value: messagesPerSecondBeside / messagesPerSecondAlone,
        isMet: (value: number) => value >= 0.9,
      })),
  ];
}

function goalTable(goals: readonly Goal[]): Table {
  return {
    head: ["sought", "wanted", "measured", ""],
    lines: goals.flatMap(({ name, wanted, value, isMet }) =>
      value === undefined ? [] : [[name, wanted, short(value), isMet(value) ? "met" : "missed"]],
    ),
  };
}

function idleTable(idle: readonly IdleStreamsRow[]): Table {
  return {
    head: [
      "target",
      "kind",
      "streams",
      "caller heap B",
      "provider heap B",
      "caller resident B",
      "provider resident B",
    ],
    lines: idle.map((row) => [
      row.target,
      row.kind,
      String(row.streams),
      short(row.callerHeapBytes),
      short(row.providerHeapBytes),
      short(row.callerRssBytes),
      short(row.providerRssBytes),
    ]),
  };
}

function stalledTable(stalled: readonly StalledRow[]): Table {
  return {
    head: ["target", "streams", "payload", "alone", "beside a stalled one", "caller KiB", "provider KiB"],
    lines: stalled.map((row) => [
      row.target,
      String(row.streams),
      sizeText(row.payloadBytes),
      short(row.messagesPerSecondAlone),
      short(row.messagesPerSecondBeside),
      short(row.callerBytes / kibBytes),
      short(row.providerBytes / kibBytes),
    ]),
  };
}

export function streamsReport(results: StreamResults): Report {
  const section = (title: string, text: string, table: Table): Section[] =>
    table.lines.length === 0 ? [] : [{ title, text: [text], tables: [table], plots: [] }];
  const sections = [
    ...section(
      "Messages",
      "One connection. CPU is that of both processes; the last columns are messages/s of mprpc against the others.",
      rowTable(results.rows),
    ),
    ...section(
      "Idle streams",
      "On one connection, each after one message, with somebody who waits for the next; bytes of each stream.",
      idleTable(results.idle),
    ),
    ...section(
      "A stalled stream",
      "Messages/s of streams that are read, without and with one more that nobody reads; what that one holds in heap and buffers.",
      stalledTable(results.stalled),
    ),
    ...section("Sought", "Of one run; ratios count.", goalTable(streamGoals(results))),
  ];
  return { command: "streams", title: "Streams", sections, results };
}
