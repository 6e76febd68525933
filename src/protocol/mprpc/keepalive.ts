import type { Clock, Timer } from "../../base/clock.js";
import { afterReading } from "../../base/peer-timer.js";

export interface KeepaliveOptions {
  /** Silence before a ping is sent, ms. Default 10,000. */
  intervalMs: number;
  /** Silence after a ping before the connection counts as dead, ms. Default 4,000. */
  timeoutMs: number;
}

export const defaultKeepalive: Readonly<KeepaliveOptions> = { intervalMs: 10_000, timeoutMs: 4000 };

export interface KeepaliveOwner {
  /** Arrived bytes wait for their turn; the answer may be among them. */
  readonly behind: boolean;
  ping(): void;
  /** The ping got no answer: the peer counts as dead. */
  onSilence(silentMs: number): void;
}

/**
 * Detects a dead peer: after `intervalMs` of silence it sends a ping, after `timeoutMs` more it calls `onSilence`. Any received
 * byte resets it. Both sides run one, so that each detects it independently.
 */
export class Keepalive {
  readonly #clock: Clock;
  readonly #options: KeepaliveOptions;
  readonly #owner: KeepaliveOwner;
  #heardMs: number;
  #pingedMs = -1;
  #timer: Timer;
  #stopped = false;

  constructor(clock: Clock, options: KeepaliveOptions, owner: KeepaliveOwner) {
    this.#clock = clock;
    this.#options = options;
    this.#owner = owner;
    this.#heardMs = clock.now();
    this.#timer = this.#arm(options.intervalMs);
  }

  /** Bytes arrived, or written bytes were sent. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = -1;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.cancel();
  }

  #arm(delayMs: number): Timer {
    // In whole tenths of a second: Node keeps timers of one duration in one list, which makes thousands of them cheap.
    const roundedMs = Math.ceil(delayMs / 100) * 100;
    const dueMs = this.#clock.now() + roundedMs;
    return this.#clock.setTimer(() => this.#check(dueMs), roundedMs);
  }

  #check(dueMs: number): void {
    // The answer may lie unread.
    if (this.#pingedMs < 0) this.#pingIfSilent();
    else afterReading(() => this.#judge(dueMs));
  }

  #pingIfSilent(): void {
    const { intervalMs, timeoutMs } = this.#options;
    const now = this.#clock.now();
    const restMs = this.#heardMs + intervalMs - now;
    if (restMs > 0) {
      this.#timer = this.#arm(restMs);
      return;
    }
    this.#pingedMs = now;
    this.#owner.ping();
    this.#timer = this.#arm(timeoutMs);
  }

  #judge(dueMs: number): void {
    if (this.#stopped) return;
    const { timeoutMs } = this.#options;
    const now = this.#clock.now();
    if (this.#pingedMs < 0) this.#pingIfSilent();
    // This process itself was frozen, and perhaps the peer with it; or it is busy, and the answer waits for its turn.
    else if (this.#owner.behind || now - dueMs > timeoutMs / 2) this.#timer = this.#arm(timeoutMs);
    else this.#owner.onSilence(now - this.#heardMs);
  }
}
