import { Backoff, subchannelBackoff } from "../base/backoff.js";
import type { Clock, Timer } from "../base/clock.js";

/** When all subchannels are down, a call may try one whose last try is at least this old, ms. */
const probeAfterMs = 1000;
/** Callers that learn of a provider at the same moment connect to it spread over this time, ms. */
const spreadMs = 250;

/**
 * Whether calls may be sent to a provider.
 *
 *               failed                retry
 *       up ---------------> down ---------------> retrying
 *        ^                  | ^                    |  |
 *        |     reached      | |       failed       |  |
 *        +------------------+ +--------------------+  |
 *        +--------------------------------------------+
 *                          reached
 *
 * In `up` it takes calls, which wait while it connects. In `down` and `retrying` it takes none: only a frame from the
 * provider brings it back up, since a call sent to one that hangs would be lost. `closed` is for good.
 */
export type SubchannelState = "up" | "down" | "retrying" | "closed";

/** `reached`: the provider has answered; `retired`: it is not wanted any more. */
export type SubchannelEvent = "failed" | "retry" | "reached" | "retired";

export const subchannelTransitions: Readonly<
  Record<SubchannelState, Readonly<Record<SubchannelEvent, SubchannelState>>>
> = {
  up: { failed: "down", retry: "up", reached: "up", retired: "closed" },
  down: { failed: "down", retry: "retrying", reached: "up", retired: "closed" },
  retrying: { failed: "down", retry: "retrying", reached: "up", retired: "closed" },
  closed: { failed: "closed", retry: "closed", reached: "closed", retired: "closed" },
};

export interface SubchannelHealthOwner {
  /** It became `up`, or stopped being `up`; not called when it is closed. */
  onAvailability(): void;
  /** `down` has become `retrying`: the provider is to be tried. */
  onRetry(): void;
}

/** The state of one subchannel, and when it is tried again. */
export class SubchannelHealth {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #owner: SubchannelHealthOwner;
  readonly #backoff: Backoff;
  #state: SubchannelState = "up";
  #timer: Timer | undefined;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  /** It is down because the provider turned this caller away. Waiting calls do not shorten the backoff then. */
  #turnedAway = false;
  /** Why it is down. */
  failure = "";

  constructor(clock: Clock, random: () => number, owner: SubchannelHealthOwner) {
    this.#clock = clock;
    this.#random = random;
    this.#owner = owner;
    this.#backoff = new Backoff(subchannelBackoff, random);
  }

  get state(): SubchannelState {
    return this.#state;
  }

  /** True when a call that found everything down may try it all the same. */
  get probeable(): boolean {
    return !this.#turnedAway && this.#clock.now() - this.#lastTryMs >= probeAfterMs;
  }

  #on(event: SubchannelEvent): void {
    const before = this.#state;
    const after = subchannelTransitions[before][event];
    this.#state = after;
    if (after !== "closed" && (before === "up") !== (after === "up")) this.#owner.onAvailability();
  }

  /** A connection is being made. */
  tried(): void {
    this.#lastTryMs = this.#clock.now();
  }

  fail(reason: string, turnedAway = false): void {
    if (this.#state === "closed") return;
    this.#turnedAway = turnedAway;
    this.failure = reason;
    this.#retryAfter(this.#backoff.next());
    this.#on("failed");
  }

  reach(): void {
    if (this.#state === "closed") return;
    this.#timer?.cancel();
    this.failure = "";
    this.#on("reached");
  }

  /** It has worked: the next failure begins with a short backoff. */
  resetBackoff(): void {
    this.#backoff.reset();
  }

  /** Its backoff is over, or a call cannot wait: try now. */
  retryNow(): void {
    if (this.#state !== "down") return;
    this.#timer?.cancel();
    this.#on("retry");
    this.#owner.onRetry();
  }

  /**
   * The registry has just listed it, or listed it again, so its backoff is outdated. The try is spread over a short time, since
   * every other caller is notified at the same moment.
   */
  retrySoon(): void {
    if (this.#state !== "down") return;
    this.#backoff.reset();
    this.#retryAfter(this.#random() * spreadMs);
  }

  /** Calls wait for it: restart the backoff, and do not sleep longer than its first delay. */
  hurry(): void {
    if (this.#state !== "down" || this.#turnedAway) return;
    this.#backoff.reset();
    if (this.probeable) this.retryNow();
    else this.#retryAfter(this.#backoff.next());
  }

  #retryAfter(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => this.retryNow(), delayMs);
  }

  close(): void {
    this.#timer?.cancel();
    this.#on("retired");
  }
}
