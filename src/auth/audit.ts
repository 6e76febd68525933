import type { Clock, Timer } from "../base/clock.js";
import { printable } from "../base/printable.js";
import type { Peer } from "../call/peer.js";
import type { Logger } from "../log/logger.js";

/** Denials logged individually in this time; the others are counted. */
const linesMax = 20;
const windowMs = 1000;

/** The caller, as far as it is known. */
export function describeCaller({ identities: { transport, token }, protocol }: Peer): string {
  const known = [transport, token].filter((one) => one !== undefined).map(printable);
  if (known.length > 0) return known.join(" with ");
  return protocol === "classic" ? "a classic caller" : "a caller without an identity";
}

/** Logs denied calls, or uses of topics: who, what and from where. Under a flood they are only counted. */
export class AuditLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #kind: string;
  #lines = 0;
  #more = 0;
  #sinceMs = -Infinity;
  #timer: Timer | undefined;

  /** `kind`: what the others are called that are only counted. */
  constructor(clock: Clock, log: Logger, kind = "calls") {
    this.#clock = clock;
    this.#log = log;
    this.#kind = kind;
  }

  /** `what`: `pkg.Service/Method`, or `topic:orders.created/publish`. */
  denied(what: string, peer: Peer, code: string): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#sinceMs >= windowMs) {
      this.#sinceMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines++ < linesMax) {
      this.#log.warn(`denied: ${what} to ${describeCaller(peer)}`, { peer: peer.address, code });
      return;
    }
    this.#more++;
    this.#timer ??= this.#clock.setTimer(() => this.#tellMore(), windowMs);
  }

  #tellMore(): void {
    this.#timer = undefined;
    if (this.#more > 0) this.#log.warn(`denied: ${this.#more} more ${this.#kind}`);
    this.#more = 0;
  }

  close(): void {
    this.#timer?.cancel();
    this.#tellMore();
  }
}
