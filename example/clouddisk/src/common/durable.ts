import { mkdir, open } from "node:fs/promises";
import path from "node:path";
import { sharedBy } from "./shared-work.js";

/** What was named, renamed or deleted in a folder survives a power cut when this resolves. */
function syncFolder(folder: string): Promise<void> {
  return sharedBy(folder, () => syncNow(folder));
}

async function syncNow(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Folders that are there, and not durable yet: whoever puts a file into one waits for it. */
const making = new Map<string, Promise<void>>();

/** With those above it that were missing. */
async function makeDurably(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  for (let at = folder; at.length >= made.length; at = path.dirname(at)) await syncFolder(path.dirname(at));
}

/** Has `place` give a file its name `target`, in a folder that is made when it is missing. The name is durable when this resolves. */
export async function placeFile(target: string, place: () => Promise<void>): Promise<void> {
  const folder = path.dirname(target);
  try {
    await place();
    await making.get(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    // Most of the time it is there: it is made once for very many files.
    const made = making.get(folder) ?? makeDurably(folder).finally(() => making.delete(folder));
    making.set(folder, made);
    await made;
    await place();
  }
  await syncFolder(folder);
}
