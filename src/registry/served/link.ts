import type { Emitter } from "../../base/emitter.js";

export interface LinkEvents {
  /** A server answers, and reads and writes work. */
  up: undefined;
  /** None does any more, or none does yet. */
  down: { reason: Error };
}

/** The way to the servers of a registry, of which one at a time is used. */
export interface Link {
  /** Whether the server in use answered last time. */
  readonly up: boolean;
  readonly on: Emitter<LinkEvents>["on"];
  /** Connects. Idempotent. */
  start(): void;
  stop(): Promise<void>;
}

/** What follows from the time to live of registrations; all in ms. */
export interface LinkTimes {
  /** How long a silent provider stays listed. */
  readonly ttlMs: number;
  /** How long a read or a write may take. */
  readonly requestTimeoutMs: number;
  /** How often the server in use is asked whether it is there. */
  readonly pingMs: number;
  /** How long it may take to answer that. */
  readonly pingTimeoutMs: number;
}

const requestTimeoutMaxMs = 3000;
/** A server is left before the others count it as lost, which takes some 5 s. */
const pingMaxMs = 1500;
const pingTimeoutMaxMs = 2000;

export function linkTimes(ttlMs = 15_000): LinkTimes {
  return {
    ttlMs,
    requestTimeoutMs: Math.min(requestTimeoutMaxMs, Math.max(1000, ttlMs / 3)),
    pingMs: Math.min(pingMaxMs, ttlMs / 4),
    pingTimeoutMs: Math.min(pingTimeoutMaxMs, Math.max(500, ttlMs / 3)),
  };
}
