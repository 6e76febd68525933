import type { Clock, Timer } from "../base/clock.js";
import { printable } from "../base/printable.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { type Account, leavesSome } from "./account.js";

/** Authenticators that run at a time for calls, on all connections. */
const checksMax = 1024;
/** Authenticators that run at a time for open streams. They have places of their own: neither takes those of the other. */
const streamChecksMax = 512;
/** An authenticator that still has not returned so long after it was told to stop never will, ms: its place is free again. */
const lostAfterMs = 60_000;

/** The authenticators that run for a provider. Each has a place until it has returned, even if its answer is not wanted any more. */
export class CheckPlaces {
  readonly #clock: Clock;
  /** There is a free place. */
  readonly #onFree: () => void;
  readonly #onLost: () => void;
  #forCalls = 0;
  #forStreams = 0;

  constructor(clock: Clock, onFree: () => void, onLost: () => void) {
    this.#clock = clock;
    this.#onFree = onFree;
    this.#onLost = onLost;
  }

  get freeForStreams(): boolean {
    return this.#forStreams < streamChecksMax;
  }

  /** Why no authenticator can be asked for a call on a connection of this account. */
  refusal({ name, checks }: Account): RpcError | undefined {
    if (leavesSome(checks, this.#forCalls, checksMax)) return undefined;
    const text =
      this.#forCalls >= checksMax
        ? messages.tooManyChecks(checksMax)
        : messages.checksShareTaken(printable(name), checks, checksMax);
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  /** `account` undefined: it is for an open stream. `onFree` comes before others hear of the place. */
  take(account: Account | undefined, onFree: () => void): CheckPlace {
    this.#count(account, 1);
    return new CheckPlace(this.#clock, (lost) => {
      this.#count(account, -1);
      onFree();
      if (lost) this.#onLost();
      this.#onFree();
    });
  }

  #count(account: Account | undefined, by: 1 | -1): void {
    if (account === undefined) this.#forStreams += by;
    else {
      this.#forCalls += by;
      account.checks += by;
    }
  }
}

/** The place of one authenticator. */
export class CheckPlace {
  readonly #clock: Clock;
  #onFree: ((lost: boolean) => void) | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, onFree: (lost: boolean) => void) {
    this.#clock = clock;
    this.#onFree = onFree;
  }

  /** Its answer is not wanted any more, and it was told so. */
  abandon(): void {
    if (this.#onFree === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimer(() => this.#free(true), lostAfterMs);
  }

  /** It has returned. */
  free(): void {
    this.#free(false);
  }

  #free(lost: boolean): void {
    const onFree = this.#onFree;
    this.#onFree = undefined;
    this.#timer?.cancel();
    onFree?.(lost);
  }
}
