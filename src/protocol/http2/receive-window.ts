import { defaultWindowBytes } from "./wire/frame.js";

/** The window of a connection grows to this many times what one stream may have at most. */
const streamsPerWindow = 4;

export interface ReceiveWindowOptions {
  connectionWindowBytes: number;
  windowMaxBytes: number;
  unreadMaxBytes: number;
}

/**
 * The window of a whole connection. Arrived bytes are returned to the peer whether they were read or not, so that an
 * unread stream does not stop the others; only when a lot is unread, the window waits for the readers.
 */
export class ReceiveWindow {
  #leftBytes: number = defaultWindowBytes;
  #targetBytes: number;
  #arrivedBytes = 0;
  readonly #options: ReceiveWindowOptions;
  /** What has come on all streams and was not given back. */
  unreadBytes = 0;

  constructor(options: ReceiveWindowOptions) {
    this.#options = options;
    this.#targetBytes = options.connectionWindowBytes;
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
    const { unreadMaxBytes, windowMaxBytes } = this.#options;
    const mostBytes = windowMaxBytes * streamsPerWindow;
    if (this.#arrivedBytes >= this.#targetBytes * 2 && this.#targetBytes < mostBytes) {
      this.#targetBytes = Math.min(this.#targetBytes * 2, mostBytes);
      this.#arrivedBytes = 0;
    }
    const windowBytes = Math.min(this.#targetBytes, unreadMaxBytes - this.unreadBytes);
    const bytes = windowBytes - this.#leftBytes;
    // While it is short because much lies unread, a frame for each read would do nothing for the peer.
    if (bytes < this.#targetBytes / 4) return 0;
    this.#leftBytes += bytes;
    return bytes;
  }
}
