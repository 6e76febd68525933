import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { isTempGone } from "../common/instance.js";
import { removeParts } from "./complete.js";
import type { UploadContext } from "./context.js";

const batch = 100;

/** Throws away uploads that got no part for `[upload] uploadttl`, and files no upload knows; gives how many. */
export async function cleanUploads(
  context: UploadContext,
  signal: AbortSignal,
): Promise<{ expired: number; files: number }> {
  const { database, settings } = context.host;
  const touchedBeforeMs = Date.now() - settings.upload.uploadTtlMs;
  let expired = 0;
  while (!signal.aborted) {
    const { ids } = await database.run("upload.expire", {
      node: settings.node,
      touchedBeforeMs,
      limit: batch,
    });
    for (const id of ids) await removeParts(context, id);
    expired += ids.length;
    if (ids.length < batch) break;
  }
  return { expired, files: await removeOrphans(context, touchedBeforeMs, signal) };
}

/** What processes that were killed were receiving; its clients have to send it again anyhow. Called at the start. */
export async function removeGoneTemps({ staging }: UploadContext): Promise<number> {
  const gone = (await readdir(staging.wholeFolder).catch(() => [])).filter(isTempGone);
  for (const name of gone) await rm(path.join(staging.wholeFolder, name), { force: true });
  return gone.length;
}

async function removeOrphans(context: UploadContext, beforeMs: number, signal: AbortSignal): Promise<number> {
  const { staging } = context;
  let removed = 0;
  for (const folder of [staging.partsFolder, staging.wholeFolder]) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (signal.aborted) return removed;
      const file = path.join(folder, name);
      const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
      if (mtimeMs > beforeMs) continue;
      if (folder === staging.partsFolder && (await isNeeded(context, name))) continue;
      await rm(file, { force: true });
      removed++;
    }
  }
  return removed;
}

async function isNeeded({ host }: UploadContext, id: string): Promise<boolean> {
  const { upload } = await host.database.run("upload.peek", { id });
  return upload?.state === "open" || upload?.state === "merging";
}
