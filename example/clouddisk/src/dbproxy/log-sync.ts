import { type FileHandle, open } from "node:fs/promises";

/**
 * Makes what was committed to SQLite's log durable, while the event loop goes on: the commit itself would wait for the disk in the
 * loop. One wait serves all that was committed before it began.
 */
export class LogSync {
  readonly #file: string;
  readonly #copyLog: () => void;
  #handle: FileHandle | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failed = false;

  /** `copyLog` brings all of the log into the database file, durably, or throws. */
  constructor(file: string, copyLog: () => void) {
    this.#file = file;
    this.#copyLog = copyLog;
  }

  /** Resolves once all that is committed by now survives a power cut. */
  sync(): Promise<void> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  /** No more is to be committed. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running?.catch(() => {});
    await this.#handle?.close();
  }

  async #after(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {});
    // What is committed from here on waits for another one.
    this.#running = this.#next;
    this.#next = undefined;
    try {
      // The log has a hole where a write was lost, and what stands behind it would be lost as well.
      if (this.#failed) this.#copyLog();
      else await this.#flush();
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  async #flush(): Promise<void> {
    // It is there after the first commit, and the same file until the last connection is closed.
    this.#handle ??= await open(this.#file, "r+");
    await this.#handle.datasync();
  }
}
