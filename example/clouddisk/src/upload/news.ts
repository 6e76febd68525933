import { setTimeout as delay } from "node:timers/promises";
import type { UploadRow } from "../dbproxy/actions.js";
import type { UploadContext } from "./context.js";

/** Of one upload it is told no more often, however many parts come. */
const everyMs = 1_000;

/** Tells the user's other devices how far an upload is: the first part at once, and the others together. */
export class UploadNews {
  readonly #context: UploadContext;
  /** Those that are being told; true: more parts have come since. */
  readonly #telling = new Map<string, boolean>();

  constructor(context: UploadContext) {
    this.#context = context;
  }

  /** A part of it has arrived. Nobody waits for this. */
  arrived({ id, userId }: UploadRow): void {
    const known = this.#telling.has(id);
    this.#telling.set(id, known);
    if (!known) void this.#tell(id, userId);
  }

  async #tell(id: string, userId: number): Promise<void> {
    const { host, log, progress } = this.#context;
    try {
      do {
        this.#telling.set(id, false);
        const { parts } = await progress.list(id);
        await host.database.run("change.upload", { id, userId, partsDone: parts.size });
        await delay(everyMs, undefined, { ref: false });
      } while (this.#telling.get(id) === true);
    } catch (error) {
      log.debug("other devices were not told of a part", { error: String(error) });
    } finally {
      this.#telling.delete(id);
    }
  }
}
