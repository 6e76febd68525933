import type { Mark } from "../protocol.js";
import type { IdleKind, StreamLoad } from "./target.js";

/** What the bench asks of a measured process; every request has one answer. */
export type StreamRequest =
  /** Starts the streams of a measurement and answers at once. Caller only. */
  | { kind: "start"; load: StreamLoad }
  /** Takes the counters; `calls` are messages. */
  | { kind: "mark"; payloadBytes: number }
  /** Stops the streams and answers when all have ended. Caller only. */
  | { kind: "stop" }
  /** Opens streams that are silent after one message. Caller only. */
  | { kind: "idle"; stream: IdleKind; count: number }
  /** Opens a stream that nobody reads any further. Caller only. */
  | { kind: "stall"; payloadBytes: number }
  /** Collects garbage and tells what memory is left. */
  | { kind: "memory" }
  | { kind: "close" };

export interface StreamMemory {
  heapBytes: number;
  /** Of buffers, outside of the heap. */
  externalBytes: number;
  rssBytes: number;
}

/** What each request is answered with. */
export interface StreamAnswers {
  start: null;
  mark: Mark;
  stop: null;
  idle: null;
  stall: null;
  memory: StreamMemory;
  close: null;
}
