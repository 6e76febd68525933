import { formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import type { Endpoint, Snapshot } from "../registry.js";
import type { ConsulInstance } from "./layout.js";

/**
 * An agent that could not report a registration to the servers tries again after 15 to 30 s, whatever happens meanwhile. Until
 * then they list the last state they know.
 */
export const agentRetryMs = 35_000;

/**
 * Which instances may still serve although they are not passing. The loss of an agent does not mean that its providers are
 * down: they get their ttl to register at another one. And after an outage of the servers, what they know about providers
 * is out of date for a while.
 */
export class LingeringInstances {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  #recoveringUntilMs = 0;
  /** Since when their agents are lost, on the clock, by id. */
  #lostSinceMs = new Map<string, number>();

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  /** The servers were down. */
  onRecovery(): void {
    this.#recoveringUntilMs = this.#clock.now() + agentRetryMs;
  }

  /** Those of `instances` that callers knew and may go on calling, and when to look again. */
  of(
    instances: readonly ConsulInstance[],
    before: Snapshot | undefined,
  ): { endpoints: readonly Endpoint[]; againMs?: number } {
    const nowMs = this.#clock.now();
    const passing = new Set(
      instances.filter(({ health }) => health === "passing").map(({ endpoint }) => formatAddress(endpoint)),
    );
    const known = new Set(before === undefined || before.hint ? [] : before.endpoints.map(formatAddress));
    const lost = new Map<string, number>();
    const endpoints: Endpoint[] = [];
    let againMs = Infinity;
    for (const { id, endpoint, health } of instances) {
      const address = formatAddress(endpoint);
      if (health === "passing" || passing.has(address) || !known.has(address)) continue;
      let untilMs = this.#recoveringUntilMs;
      if (health === "agent-lost") {
        const sinceMs = this.#lostSinceMs.get(id) ?? nowMs;
        lost.set(id, sinceMs);
        untilMs = Math.max(untilMs, sinceMs + this.#ttlMs);
      }
      if (untilMs <= nowMs) continue;
      endpoints.push(endpoint);
      againMs = Math.min(againMs, untilMs - nowMs);
    }
    this.#lostSinceMs = lost;
    return againMs === Infinity ? { endpoints } : { endpoints, againMs };
  }
}
