import { type FileHandle, open } from "node:fs/promises";
import { SharedWork } from "../common/shared-work.js";

/**
 * Makes what was committed to SQLite's log durable, while the event loop goes on: the commit itself would wait for the disk in the
 * loop. One wait serves all that was committed before it began.
 */
export class LogSync {
  readonly #file: string;
  readonly #copyLog: () => void;
  readonly #shared = new SharedWork();
  #handle: FileHandle | undefined;
  #failed = false;

  /** `copyLog` brings all of the log into the database file, durably, or throws. */
  constructor(file: string, copyLog: () => void) {
    this.#file = file;
    this.#copyLog = copyLog;
  }

  /** Resolves once all that is committed by now survives a power cut. */
  sync(): Promise<void> {
    return this.#shared.run(() => this.#sync());
  }

  /** After what is under way. No more is to be committed. */
  async close(): Promise<void> {
    await this.#shared.run(async () => {}).catch(() => {});
    await this.#handle?.close();
  }

  async #sync(): Promise<void> {
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
