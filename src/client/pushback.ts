import type { Clock, Timer } from "../base/clock.js";
import type { Attempt, CallCarrier } from "../call/attempt.js";
import { messages } from "../error/messages.js";
import type { RpcError } from "../error/rpc-error.js";

/** The trailer by which a server says when its caller may try again, ms (gRFC A6). */
const pushbackKey = "grpc-retry-pushback-ms";
/** Node's timers reach no further, ms; no deadline that waits for one is later. */
const longestMs = 0x7fff_ffff;

/**
 * How long the server that failed a call wants its caller to wait before it tries again, ms; 0 when it does not say. Negative when it
 * is not to try again: for a negative number, and for what is no whole number.
 */
export function pushbackMs({ trailers }: RpcError): number {
  const text = trailers?.getText(pushbackKey);
  if (text === undefined) return 0;
  return /^\d{1,15}$/.test(text) ? Math.min(Number(text), longestMs) : -1;
}

/** Where an attempt waits until it may go to a server again. */
export class Pushback implements CallCarrier {
  readonly #timer: Timer;

  constructor(attempt: Attempt, waitMs: number, clock: Clock, route: () => void) {
    attempt.handTo(this, "resolve", () => messages.waitsForPushback(waitMs));
    this.#timer = clock.setTimer(() => {
      attempt.nowMs = clock.now();
      route();
    }, waitMs);
  }

  abandon(): boolean {
    this.#timer.cancel();
    return true;
  }
}
