/** Messages and bytes that streams may move before they yield to other work. */
const messagesMax = 1024;
const bytesMax = 256 * 1024;

/**
 * Shares the event loop between streams and other work. While promises keep resolving, no socket and no timer runs;
 * a source and a reader that never wait would block the loop for as long as they have messages.
 */
class StreamTurn {
  #messages = 0;
  #bytes = 0;
  #waiting: Array<() => void> = [];

  /** A message has been sent or taken. True: its stream should `wait` before the next. */
  spent(bytes: number): boolean {
    this.#messages++;
    this.#bytes += bytes;
    return this.#messages >= messagesMax || this.#bytes >= bytesMax;
  }

  /** Calls back in another turn of the event loop. */
  later(callback: () => void): void {
    if (this.#waiting.push(callback) === 1) setImmediate(begin);
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.later(resolve));
  }

  begin(): void {
    this.#messages = this.#bytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }
}

function begin(): void {
  streamTurn.begin();
}

/** One for the process, as the event loop is. */
export const streamTurn = new StreamTurn();
