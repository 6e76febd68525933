import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";

/** Of the hash a registry's folder is named by. */
export const folderDigits = 16;
/** A file that nobody has used for this long belongs to a registry that is not used any more. A file in use is marked daily. */
const unusedMaxMs = 30 * 24 * 3600_000;

const folderPattern = new RegExp(`^[0-9a-f]{${folderDigits}}$`);
/** A list, or one that was being written when its process was killed. */
const filePattern = /^[\w.]+(?:\.json|\.[0-9a-f]{8}\.tmp)$/;

/**
 * Removes the saved lists under `place` that no process has used for 30 days, of every registry, and folders that are then
 * empty. Foreign files stay, links included.
 */
export async function sweepSnapshots(place: string, nowMs: number): Promise<void> {
  for (const name of await readdir(place)) {
    if (folderPattern.test(name)) await sweepFolder(join(place, name), nowMs).catch(() => {});
  }
}

async function sweepFolder(folder: string, nowMs: number): Promise<void> {
  const found = await lstat(folder);
  if (!found.isDirectory()) return;
  // Read before files are removed: an empty folder may have been created by another process a moment ago.
  let unused = nowMs - found.mtimeMs > unusedMaxMs;
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const { mtimeMs } = await lstat(file);
    if (!filePattern.test(name) || nowMs - mtimeMs <= unusedMaxMs) continue;
    await unlink(file);
    unused = true;
  }
  // The system refuses to remove a folder that is not empty.
  if (unused) await rmdir(folder);
}
