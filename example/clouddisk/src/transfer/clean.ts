import type { LogFields } from "mprpc";
import type { TransferContext } from "./context.js";
import { removeStaged } from "./jobs.js";

/** Who comes back within this goes on where the live feed ended; later, everything is loaded again. */
const changesTtlMs = 3_600_000;
/** How many changes one transaction forgets. */
const pruneLimit = 1000;
/** How many rows of the trash one transaction deletes. */
const purgeLimit = 200;
/** Uploads rename their file onto its hash before they make the row for it; younger files may still get theirs. */
export const stagedAgeMs = 3_600_000;

/** What is over its time in the database: sessions, challenges, trash. */
export async function cleanDatabase(context: TransferContext, signal: AbortSignal): Promise<LogFields> {
  const { database, settings } = context;
  const sessions = (await database.run("session.deleteExpired", {})).deleted;
  const challenges = (await database.run("challenge.deleteExpired", {})).deleted;
  const trashedBeforeMs = Math.max(0, Date.now() - settings.trashTtlMs);
  let trashed = 0;
  for (let more = true; more && !signal.aborted; ) {
    const purged = await database.run("trash.purge", { trashedBeforeMs, limit: purgeLimit });
    trashed += purged.deleted;
    ({ more } = purged);
  }
  let changes = 0;
  const createdBeforeMs = Date.now() - changesTtlMs;
  for (let more = true; more && !signal.aborted; ) {
    const pruned = await database.run("change.prune", { createdBeforeMs, limit: pruneLimit });
    changes += pruned.deleted;
    ({ more } = pruned);
  }
  return { sessions, challenges, changes, trashed };
}

/** What processes that were killed left in this node's staging folder. */
export async function cleanStaging(
  context: TransferContext,
  signal: AbortSignal,
  ageMs = stagedAgeMs,
): Promise<LogFields> {
  const { staged } = context;
  const unchangedSinceMs = Date.now() - ageMs;
  let contents = 0;
  for await (const fileHash of staged.hashes()) {
    signal.throwIfAborted();
    if (await removeOrphan(context, fileHash, unchangedSinceMs)) contents++;
  }
  const isLocal = async (name: string): Promise<boolean> => {
    const fileHash = name.slice(0, 64);
    if (!/^[0-9a-f]{64}$/.test(fileHash)) return false;
    const { content } = await context.database.run("content.get", { fileHash });
    // Put back at its path; what is left here is a second name of the same file.
    return content?.state === "local" && !(await staged.recover(fileHash));
  };
  const removing = await staged.removeStale(staged.removingFolder, unchangedSinceMs, isLocal, signal);
  const nobody = async (): Promise<boolean> => false;
  const whole = await staged.removeStale(staged.wholeFolder, unchangedSinceMs, nobody, signal);
  const isOpen = async (id: string): Promise<boolean> => {
    if (!/^[0-9a-f]{32}$/.test(id)) return true;
    const { upload } = await context.database.run("upload.peek", { id });
    return upload !== null && (upload.state === "open" || upload.state === "merging");
  };
  const parts = await staged.removeStale(staged.partsFolder, unchangedSinceMs, isOpen, signal);
  return { contents, whole, parts, removing };
}

async function removeOrphan(
  context: TransferContext,
  fileHash: string,
  unchangedSinceMs: number,
): Promise<boolean> {
  const file = await context.staged.open(fileHash);
  if (file === undefined) return false;
  try {
    return file.changedAtMs <= unchangedSinceMs && (await removeStaged(context, file));
  } finally {
    await file.close();
  }
}
