import { Backoff, subchannelBackoff } from "../base/backoff.js";
import type { Clock, Timer } from "../base/clock.js";

/** A subchannel that found its provider away is tried by a call that finds all of them so when its last try is this old, ms. */
const probeAfterMs = 1000;
/** Callers that hear of a provider in the same moment come to it spread over this time, ms. */
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
  /** It is `up` now, and was not, or the other way round; not told of the end. */
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
  /** It is down because the provider said so, which no waiting call changes: only the backoff leads back. */
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

  /** It has worked: the next trouble begins with a short backoff. */
  resetBackoff(): void {
    this.#backoff.reset();
  }

  /** Its backoff has run out, or somebody cannot wait: try now. */
  retryNow(): void {
    if (this.#state !== "down") return;
    this.#timer?.cancel();
    this.#on("retry");
    this.#owner.onRetry();
  }

  /**
   * The registry has just said that it is there, or there again: its backoff is out of date. Not at once, since every other
   * caller hears it in the same moment.
   */
  retrySoon(): void {
    if (this.#state !== "down") return;
    this.#backoff.reset();
    this.#retryAfter(this.#random() * spreadMs);
  }

  /** Calls wait for it: begin the backoff anew, and do not sleep longer than its first delay. */
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
