import { messages } from "../../../error/messages.js";
import type { StreamBudget } from "./budget.js";

/** What a message of a stream costs besides its bytes, so that empty and tiny ones cost something. */
export const messageCostBytes = 32;
/** The most credit a sender may have. */
export const creditMaxBytes = 2 ** 31 - 1;
/** Credit for the requests of a call before the first frame from the provider. */
export const requestStartBytes = 16 * 1024;
/** Larger messages are always announced and sent in chunks, so that others can be sent between them. */
export const wholeMaxBytes = 128 * 1024;
/** The window of a receiver, if its connection has room. */
export const windowBytes = 256 * 1024;
/** The least credit a caller grants for the replies of a call. */
export const replyWindowMinBytes = 4 * 1024;
/** A window grows up to this if its sender fills it faster than credit returns while the application keeps reading. */
export const windowMaxBytes = 4 * 1024 * 1024;
/**
 * A window does not grow beyond this many messages of the usual size. With more of them in memory the small objects that they
 * become outlive collections of the young generation, which costs more than waiting for credit: with 64 B twice the CPU.
 */
const grownMessagesMax = 4096;
/** The weight of one message in the usual size. */
const usualShift = 4;

/** A sender that keeps running short of credit shows the receiver every so many times. */
const shownEvery = 32;

/** The credit of the sender of one stream. */
export class SendWindow {
  #credit: number;
  /** The most it has been. */
  #most: number;
  /** What that was when the receiver was last shown that it is too little. */
  #shownAt = 0;
  #unshown = 0;

  constructor(startBytes: number) {
    this.#credit = this.#most = startBytes;
  }

  get credit(): number {
    return this.#credit;
  }

  /** The receiver grants more credit. Returns why the frame is malformed, or undefined. */
  add(bytes: number): string | undefined {
    if (bytes === 0) return messages.creditOfNothing;
    const sum = this.#credit + bytes;
    if (sum > creditMaxBytes) return messages.creditTooLarge(sum);
    this.#credit = sum;
    if (sum > this.#most) this.#most = sum;
    return undefined;
  }

  take(bytes: number): void {
    this.#credit -= bytes;
  }

  /**
   * The credit needed before the next message is begun, if the last one cost `costBytes`. A receiver returns credit when half of
   * its window was consumed, so waiting for that avoids chunks for a message of the same size. Sometimes it does not
   * wait: a small message that has to be announced shows the receiver that its window is too small.
   */
  neededAfter(costBytes: number): number {
    if (this.#credit >= costBytes || costBytes * 2 > this.#most) return messageCostBytes;
    if (this.#most > this.#shownAt || ++this.#unshown === shownEvery) {
      this.#shownAt = this.#most;
      this.#unshown = 0;
      return messageCostBytes;
    }
    return costBytes;
  }
}

/**
 * The window of the receiver of one stream: `size` bytes. Some hold messages that wait for the application, some the
 * sender may still send, and the rest is to be granted to it.
 */
export class ReceiveWindow {
  readonly #budget: StreamBudget;
  /** The bytes reserved for it in the budget. */
  #size: number;
  /** What the sender may still send. */
  #credit: number;
  /** Received bytes that the application has not taken. */
  #held = 0;
  /** The sender has run short of credit since the window last grew, though its messages do not wait here. */
  #short = false;
  /** What a message costs, the last ones weighing most. */
  #usualBytes = 0;
  /** The part of `size` lent for one large message that the application waits for. */
  #lent = 0;

  /** `startBytes` are reserved in the budget already, and given to the sender. */
  constructor(budget: StreamBudget, startBytes: number) {
    this.#budget = budget;
    this.#size = this.#credit = startBytes;
  }

  get size(): number {
    return this.#size;
  }

  get credit(): number {
    return this.#credit;
  }

  /** A message, or a part of one, has arrived. False: it exceeds the sender's credit. */
  arrive(bytes: number): boolean {
    if (bytes > this.#credit) return false;
    this.#credit -= bytes;
    this.#held += bytes;
    this.#usualBytes =
      this.#usualBytes === 0 ? bytes : this.#usualBytes + ((bytes - this.#usualBytes) >> usualShift);
    return true;
  }

  /** The sender has credit left for no more than a part of a message that a window has room for. */
  onShort(): void {
    if (this.#held <= this.#size / 2) this.#short = true;
  }

  /** The application has taken a message. */
  take(bytes: number): void {
    this.#held -= bytes;
    if (this.#lent === 0) return;
    this.#size -= this.#lent;
    this.#budget.release(this.#lent);
    this.#lent = 0;
  }

  /**
   * The credit to grant now, bytes; mostly 0, since credit is returned in large pieces. `empty`: no message waits here; `arriving`:
   * except a part of a message.
   */
  give(empty: boolean, arriving = false): number {
    this.#grow(empty);
    const free = this.#free;
    if (free < (empty && !arriving ? this.#size / 4 : this.#size / 2)) return 0;
    this.#credit += free;
    return free;
  }

  get #free(): number {
    return this.#size - this.#credit - this.#held;
  }

  #grow(empty: boolean): void {
    let size = this.#size;
    if (size < windowBytes) {
      if (this.#credit < size / 2) size = windowBytes;
      if (size <= this.#size || !this.#budget.reserve(size - this.#size)) return;
    } else {
      if (!empty || !this.#short) return;
      this.#short = false;
      size = Math.min(size * 2, windowMaxBytes);
      if (size > this.#usualBytes * grownMessagesMax) return;
      if (size <= this.#size || !this.#budget.reserveSpare(size - this.#size)) return;
    }
    this.#size = size;
  }

  /**
   * The application waits for a message of which `missingBytes` have not arrived: the credit to grant for all of
   * them. Undefined: there is no room in the budget now. `forced`: grant it anyway.
   */
  giveFor(missingBytes: number, forced: boolean): number | undefined {
    const lacking = missingBytes - this.#credit;
    if (lacking <= 0) return 0;
    const extra = Math.max(0, lacking - Math.max(0, this.#free));
    if (extra > 0) {
      if (forced) this.#budget.force(extra);
      else if (!this.#budget.reserve(extra)) return undefined;
      this.#size += extra;
      this.#lent += extra;
    }
    this.#credit += lacking;
    return lacking;
  }

  /** The stream has ended. */
  close(): void {
    this.#budget.release(this.#size);
    this.#size = this.#lent = 0;
  }
}
