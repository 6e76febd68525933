import type { ScaleSetting } from "./setting.js";

/** What a process uses, with the garbage gone. */
export interface Memory {
  heapBytes: number;
  /** Outside of the JavaScript heap, buffers included. */
  externalBytes: number;
  rssBytes: number;
}

/** What is asked of the process that serves. */
export type ProviderRequest =
  /** A node and its provider, until `stop`. Answered with its port, when every service is registered. */
  | { kind: "serve"; setting: ScaleSetting }
  | { kind: "stop" }
  | { kind: "memory" }
  | { kind: "counts" }
  /** Answered when so many calls are held. */
  | { kind: "held"; calls: number }
  | { kind: "release" }
  | { kind: "close" };

export interface ProviderAnswers {
  serve: { port: number; elapsedMs: number };
  stop: { elapsedMs: number };
  memory: Memory;
  counts: ProviderCounts;
  held: number;
  release: null;
  close: null;
}

export interface ProviderCounts {
  connections: number;
  inFlight: number;
  served: number;
}

/** What is asked of a process of callers. */
export type CallersRequest =
  /** A node for what follows, until `end`. */
  | { kind: "begin"; setting: ScaleSetting }
  | { kind: "end" }
  | { kind: "memory" }
  /** Makes channels, each with a connection of its own, and a call on each. */
  | { kind: "open"; channels: number }
  /** Every channel makes so many calls, one after the other. */
  | { kind: "use"; callsEach: number }
  /** Calls that the provider holds, over the first channels in turn; answered when they have been made. */
  | { kind: "hold"; calls: number; channels: number }
  /** Answered when all that were held have ended. */
  | { kind: "settled" }
  /** The first channel calls every service once, all of them at the same time. */
  | { kind: "resolve" }
  | { kind: "close" };

export interface CallersAnswers {
  begin: null;
  end: null;
  memory: Memory;
  open: { elapsedMs: number };
  use: { answered: number; elapsedMs: number };
  hold: null;
  settled: Settled;
  resolve: { answered: number; elapsedMs: number };
  close: null;
}

export interface Settled {
  answered: number;
  /** Texts of failures, with how often each came. */
  failed: Record<string, number>;
  elapsedMs: number;
}
