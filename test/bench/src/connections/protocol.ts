import type { Mark } from "../protocol.js";

/** What the bench asks of the provider. */
export type ProviderRequest = { kind: "mark" } | { kind: "memory" } | { kind: "close" };

export interface ProviderAnswers {
  /** `calls`: those served. */
  mark: Mark;
  memory: { rssBytes: number; heapUsedBytes: number; connections: number };
  close: null;
}

/** What the bench asks of a process of many clients, each a channel with a connection of its own. */
export type ClientsRequest =
  /** Opens `count` more connections and proves each by a call. */
  | { kind: "open"; count: number }
  /** Keeps `inFlight` calls going, over all clients in turn. */
  | { kind: "start"; inFlight: number }
  | { kind: "mark" }
  | { kind: "stop" }
  /** Every client begins a call that hangs; answered when the provider has all of them. */
  | { kind: "hang" }
  /** Answered when every client, having lost its connection, has made a call on a new one. */
  | { kind: "reconnected" }
  | { kind: "close" };

export interface ClientsAnswers {
  open: { opened: number; elapsedMs: number };
  start: null;
  mark: Mark;
  stop: { made: number };
  hang: { hanging: number };
  reconnected: Reconnection;
  close: null;
}

/** Moments are wall-clock milliseconds with fractions, the same for all processes of one machine. */
export interface Reconnection {
  /** When each client learned that its connection was lost. */
  lostAtMs: number[];
  /** When each attempt to connect began. */
  attemptsAtMs: number[];
  /** When each attempt that succeeded did so. */
  connectedAtMs: number[];
  /** When each client had the reply to its first call on the new connection. */
  backAtMs: number[];
  /** Calls on a new connection that ended before their reply, and were made again. */
  failed: number;
}
