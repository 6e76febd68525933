import type { Clock, Timer } from "../../../base/clock.js";
import { stalledAfterMs } from "../arrivals.js";

/** It is checked this many times meanwhile. */
const looks = 4;

/** A partly arrived message that the application waits for. */
export interface WaitingMessage {
  readonly callId: number;
  readonly missingBytes: number;
  /** Gives the sender credit for the rest. False: there is no room for it now. */
  giveForMissing(forced: boolean): boolean;
}

interface Granted {
  missingBytes: number;
  stalledLooks: number;
}

/**
 * The large messages of the streams of one connection that applications wait for. Each gets credit for all missing bytes, in the
 * order of waiting, when there is room. Such a message completes without the application, so the room always becomes
 * free again. A single one gets its credit in any case.
 */
export class GrantedMessages {
  readonly #clock: Clock;
  readonly #onStalled: (message: WaitingMessage) => void;
  readonly #granted = new Map<WaitingMessage, Granted>();
  readonly #waiting = new Set<WaitingMessage>();
  #timer: Timer | undefined;

  constructor(clock: Clock, onStalled: (message: WaitingMessage) => void) {
    this.#clock = clock;
    this.#onStalled = onStalled;
  }

  add(message: WaitingMessage): void {
    if (this.#granted.has(message)) return;
    this.#waiting.add(message);
    this.retry();
  }

  /** It is complete, or its call has ended. */
  delete(message: WaitingMessage): void {
    const had = this.#granted.delete(message) || this.#waiting.delete(message);
    if (had) this.retry();
  }

  /** There may be room again. */
  retry(): void {
    for (const message of this.#waiting) {
      if (!message.giveForMissing(this.#granted.size === 0)) return;
      this.#waiting.delete(message);
      this.#granted.set(message, { missingBytes: message.missingBytes, stalledLooks: 0 });
      this.#timer ??= this.#clock.setTimer(() => this.#look(), stalledAfterMs / looks);
    }
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#granted.size === 0) return;
    this.#timer = this.#clock.setTimer(() => this.#look(), stalledAfterMs / looks);
    for (const [message, granted] of [...this.#granted]) {
      const { missingBytes } = message;
      const stalledLooks = missingBytes < granted.missingBytes ? 0 : granted.stalledLooks + 1;
      Object.assign(granted, { missingBytes, stalledLooks });
      if (stalledLooks >= looks) this.#onStalled(message);
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#granted.clear();
    this.#waiting.clear();
  }
}
