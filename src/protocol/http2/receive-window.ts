import { defaultWindowBytes } from "./wire/frame.js";

/** The window of a connection grows to this many times what one stream may have at most. */
const streamsPerWindow = 4;

/** Memory that the windows of several connections share. */
export interface WindowBudget {
  /** Takes so many bytes, unless little is left; false: nothing was taken. */
  reserveSpare(bytes: number): boolean;
  release(bytes: number): void;
}

export interface ReceiveWindowOptions {
  connectionWindowBytes: number;
  windowMaxBytes: number;
  unreadMaxBytes: number;
  windowBudget?: WindowBudget | undefined;
}

/**
 * The window of a whole connection. Arrived bytes are returned to the peer whether they were read or not, so that an
 * unread stream does not stop the others; only when a lot is unread, the window waits for the readers.
 *
 * With a budget, a window begins at the 64 KiB that HTTP/2 gives it, and what it has beyond them is taken from the budget; while
 * little is left there, it falls back to 64 KiB of unread and expected bytes together.
 */
export class ReceiveWindow {
  #leftBytes: number = defaultWindowBytes;
  #targetBytes: number;
  #arrivedBytes = 0;
  /** What of the budget it has. */
  #reservedBytes = 0;
  readonly #options: ReceiveWindowOptions;
  /** What has come on all streams and was not given back. */
  unreadBytes = 0;

  constructor(options: ReceiveWindowOptions) {
    this.#options = options;
    const { connectionWindowBytes, windowBudget } = options;
    this.#targetBytes = windowBudget === undefined ? connectionWindowBytes : defaultWindowBytes;
  }

  get starved(): boolean {
    return this.#leftBytes <= 0;
  }

  /** A DATA frame has come, with its padding. False: it is more than the peer may send. */
  take(bytes: number): boolean {
    this.#leftBytes -= bytes;
    this.#arrivedBytes += bytes;
    return this.#leftBytes >= 0;
  }

  /** How much to add to the peer's window; 0 while that is not worth a frame. */
  grant(): number {
    if (this.#leftBytes > this.#targetBytes / 2) return 0;
    const targetBytes = this.#nextTarget;
    const bytes = this.#upTo(targetBytes);
    // While it is short because much lies unread, a frame for each read would do nothing for the peer.
    if (bytes < targetBytes / 4) return 0;
    if (this.#reserve(this.#leftBytes + bytes)) {
      if (targetBytes !== this.#targetBytes) this.#arrivedBytes = 0;
      this.#targetBytes = targetBytes;
      this.#leftBytes += bytes;
      return bytes;
    }
    const leastBytes = this.#upTo(defaultWindowBytes - this.unreadBytes);
    if (leastBytes < defaultWindowBytes / 4) return 0;
    this.#leftBytes += leastBytes;
    return leastBytes;
  }

  #upTo(windowBytes: number): number {
    return Math.min(windowBytes, this.#options.unreadMaxBytes - this.unreadBytes) - this.#leftBytes;
  }

  /** A window that is in use grows. */
  get #nextTarget(): number {
    const { connectionWindowBytes, windowMaxBytes } = this.#options;
    if (this.#targetBytes < connectionWindowBytes) return connectionWindowBytes;
    const mostBytes = windowMaxBytes * streamsPerWindow;
    if (this.#arrivedBytes < this.#targetBytes * 2 || this.#targetBytes >= mostBytes)
      return this.#targetBytes;
    return Math.min(this.#targetBytes * 2, mostBytes);
  }

  /** Whether there is memory for a window of this size. */
  #reserve(windowBytes: number): boolean {
    const { windowBudget } = this.#options;
    if (windowBudget === undefined) return true;
    // What has arrived by now is counted by who keeps it.
    this.#reserveNoMore(this.#leftBytes, windowBudget);
    const moreBytes = windowBytes - defaultWindowBytes - this.#reservedBytes;
    if (moreBytes <= 0) return true;
    if (!windowBudget.reserveSpare(moreBytes)) return false;
    this.#reservedBytes += moreBytes;
    return true;
  }

  #reserveNoMore(windowBytes: number, windowBudget: WindowBudget): void {
    const excessBytes = this.#reservedBytes - Math.max(0, windowBytes - defaultWindowBytes);
    if (excessBytes <= 0) return;
    this.#reservedBytes -= excessBytes;
    windowBudget.release(excessBytes);
  }

  /** The connection is over. */
  close(): void {
    const { windowBudget } = this.#options;
    if (windowBudget !== undefined) this.#reserveNoMore(0, windowBudget);
  }
}
