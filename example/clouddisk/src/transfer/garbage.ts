import type { LogFields } from "mprpc";
import type { TransferContext } from "./context.js";

/** An object has to be unknown at two looks so far apart. */
const graceMs = 3_600_000;
/** A row made after we asked for it could want the object: what is deleted was asked for within this time. */
const askedAgoMaxMs = 1_000;
/** Rows asked for at once. */
const batchSize = 16;

/** Deletes objects that no row knows, as a restored database or a crash in the wrong place leaves them. */
export class GarbageCollector {
  /** Unknown objects, and when they were first seen to be. */
  readonly #unknown = new Map<string, number>();
  readonly #context: Pick<TransferContext, "database" | "store" | "log">;
  readonly #graceMs: number;
  readonly #now: () => number;

  constructor(
    context: Pick<TransferContext, "database" | "store" | "log">,
    options: { graceMs?: number; now?: () => number } = {},
  ) {
    this.#context = context;
    this.#graceMs = options.graceMs ?? graceMs;
    this.#now = options.now ?? (() => performance.now());
  }

  async run(signal: AbortSignal): Promise<LogFields> {
    const seen = new Set<string>();
    let objects = 0;
    let deleted = 0;
    let batch: string[] = [];
    const flush = async (): Promise<void> => {
      const results = await Promise.all(batch.map((fileHash) => this.#look(fileHash, seen, signal)));
      deleted += results.filter(Boolean).length;
      batch = [];
    };
    for await (const fileHash of this.#context.store.list(signal)) {
      signal.throwIfAborted();
      objects++;
      batch.push(fileHash);
      if (batch.length === batchSize) await flush();
    }
    await flush();
    for (const fileHash of this.#unknown.keys()) if (!seen.has(fileHash)) this.#unknown.delete(fileHash);
    return { objects, unknown: this.#unknown.size, deleted };
  }

  /** True: it was deleted. */
  async #look(fileHash: string, seen: Set<string>, signal: AbortSignal): Promise<boolean> {
    const { database, store, log } = this.#context;
    const askedAtMs = performance.now();
    const { content } = await database.run("content.get", { fileHash });
    if (content !== null) return false;
    const sinceMs = this.#unknown.get(fileHash) ?? this.#now();
    const old = this.#now() - sinceMs >= this.#graceMs && this.#unknown.has(fileHash);
    if (!old || performance.now() - askedAtMs > askedAgoMaxMs) {
      this.#unknown.set(fileHash, sinceMs);
      seen.add(fileHash);
      return false;
    }
    await store.delete(fileHash, signal);
    log.warn("an object that no row knows was deleted", { fileHash });
    return true;
  }
}
