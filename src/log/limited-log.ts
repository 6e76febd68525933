import type { Clock, Timer } from "../base/clock.js";
import type { LogFields, Logger } from "./logger.js";

/** Lines written in this time; the others are counted. */
const linesMax = 20;
const windowMs = 1000;

/**
 * A log for what strangers can cause as often as they like (refused handshakes, connections, calls): at most 20 lines a second, and one
 * that tells how many more there were. Otherwise whoever reaches the port could fill the disk, or push the lines that matter out of it.
 */
export class LimitedLog implements Pick<Logger, "warn" | "error"> {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #more: (count: number) => string;
  #lines = 0;
  #left = 0;
  #sinceMs = -Infinity;
  #timer: Timer | undefined;

  /** `more`: the line about those that were only counted. */
  constructor(clock: Clock, log: Logger, more: (count: number) => string) {
    this.#clock = clock;
    this.#log = log;
    this.#more = more;
  }

  warn(text: string, fields?: LogFields): void {
    if (this.#hasRoom()) this.#log.warn(text, fields);
  }

  error(text: string, fields?: LogFields): void {
    if (this.#hasRoom()) this.#log.error(text, fields);
  }

  #hasRoom(): boolean {
    const nowMs = this.#clock.now();
    if (nowMs - this.#sinceMs >= windowMs) {
      this.#sinceMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines++ < linesMax) return true;
    this.#left++;
    this.#timer ??= this.#clock.setTimer(() => this.#tellMore(), windowMs);
    return false;
  }

  #tellMore(): void {
    this.#timer = undefined;
    if (this.#left > 0) this.#log.warn(this.#more(this.#left));
    this.#left = 0;
  }

  /** Tells of those that are left. */
  close(): void {
    this.#timer?.cancel();
    this.#tellMore();
  }
}
