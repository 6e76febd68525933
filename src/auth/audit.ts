import type { Clock } from "../base/clock.js";
import { printable } from "../base/printable.js";
import type { Peer } from "../call/peer.js";
import { LimitedLog } from "../log/limited-log.js";
import type { Logger } from "../log/logger.js";

/** The caller, as far as it is known. */
export function describeCaller({ identities: { transport, token }, protocol }: Peer): string {
  const known = [transport, token].filter((one) => one !== undefined).map(printable);
  if (known.length > 0) return known.join(" with ");
  return protocol === "classic" ? "a classic caller" : "a caller without an identity";
}

/** Logs denied calls, or uses of topics: who, what and from where. Under a flood they are only counted. */
export class AuditLog {
  readonly #log: LimitedLog;

  /** `kind`: what the others are called that are only counted. */
  constructor(clock: Clock, log: Logger, kind = "calls") {
    this.#log = new LimitedLog(clock, log, (more) => `denied: ${more} more ${kind}`);
  }

  /** `what`: `pkg.Service/Method`, or `topic:orders.created/publish`. */
  denied(what: string, peer: Peer, code: string, reason: string): void {
    this.#log.warn(`denied: ${what} to ${describeCaller(peer)}`, { peer: peer.address, code, reason });
  }

  close(): void {
    this.#log.close();
  }
}
