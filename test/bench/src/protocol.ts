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

export interface DriveResult {
  p50Us: number;
  p99Us: number;
  /** Calls answered from `start` on, those outside of the window too. */
  made: number;
  /** The large ones among them: how many, and over how many milliseconds. */
  besides?: { made: number; elapsedMs: number };
}

/** What each request is answered with. */
export interface Answers {
  start: null;
  mark: Mark;
  stop: DriveResult;
  idle: null;
  memory: { rssBytes: number; heapUsedBytes: number };
  close: null;
}
