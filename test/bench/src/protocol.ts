import type { Load } from "./target.js";

/** What the bench asks of a measured process; every request has one answer. */
export type Request =
  /** Starts the calls of a measurement and answers at once. Caller only. */
  | { kind: "start"; load: Load }
  /** Takes the counters at one end of the window. */
  | { kind: "mark"; edge: "start" | "end"; payloadBytes: number }
  /** Stops the calls and answers when the last reply is in. Caller only. */
  | { kind: "stop" }
  /** Opens idle connections. Caller only. */
  | { kind: "idle"; connections: number }
  /** Collects garbage and tells what memory is left. */
  | { kind: "memory" }
  | { kind: "close" };

export interface Mark {
  /** The process's own monotonic clock. */
  timeMs: number;
  /** User and system time of all its threads. */
  cpuUs: number;
  calls: number;
  rssBytes: number;
}

export interface Latencies {
  p50Us: number;
  p99Us: number;
}

/** What each request is answered with. */
export interface Answers {
  start: null;
  mark: Mark;
  stop: Latencies;
  idle: null;
  memory: { rssBytes: number };
  close: null;
}

export type Answer = { ok: true; value: Answers[keyof Answers] } | { ok: false; text: string };

/** Sent once, before any answer: the process is ready. */
export interface Ready {
  ready: true;
  endpoint: string;
}
