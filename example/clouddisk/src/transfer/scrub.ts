import { setTimeout as sleep } from "node:timers/promises";
import type { LogFields } from "mprpc";
import type { ContentRow } from "../dbproxy/actions.js";
import type { TransferContext } from "./context.js";
import { repair } from "./jobs.js";

const pageSize = 200;

/**
 * Reads back every stored content and compares its hash. One that is bad is put again when this node still has a good
 * staged copy, and is told as lost otherwise. `restFactor` 1: it rests as long as it reads, half of the disk's time stays
 * for others.
 */
export async function scrub(
  context: TransferContext,
  signal: AbortSignal,
  restFactor = 1,
): Promise<LogFields> {
  const counts = { checked: 0, repaired: 0, lost: 0 };
  for (let afterHash = ""; ; ) {
    const { contents } = await context.database.run("content.page", { afterHash, limit: pageSize });
    for (const content of contents) {
      signal.throwIfAborted();
      if (content.state !== "stored") continue;
      const startMs = performance.now();
      const outcome = await check(context, content, signal);
      counts.checked++;
      if (outcome !== "good") counts[outcome]++;
      await sleep((performance.now() - startMs) * restFactor, undefined, { signal, ref: false });
    }
    const last = contents.at(-1);
    if (last === undefined) return counts;
    afterHash = last.fileHash;
  }
}

async function check(
  context: TransferContext,
  row: ContentRow,
  signal: AbortSignal,
): Promise<"good" | "repaired" | "lost"> {
  const { fileHash, sizeBytes } = row;
  const found = await context.store.verify(fileHash, sizeBytes, signal);
  if (found === "good") return "good";
  // Deleted or being put again since the page was read.
  const { content } = await context.database.run("content.get", { fileHash });
  if (content?.state !== "stored") return "good";
  const staged = await context.staged.open(fileHash);
  try {
    if (staged !== undefined && (await repair(context, staged, sizeBytes, signal))) return "repaired";
  } finally {
    await staged?.close();
  }
  context.log.error("data loss: an object is bad, and this node has no good copy of it", {
    fileHash,
    sizeBytes,
    object: found,
    store: context.store.name,
    owners: content.refCount,
  });
  return "lost";
}
