import { type Api, ApiError, Code, type Entry } from "../api.js";
import type { Failed } from "../upload/pick.js";

/** The browser does it, with its own progress and pause. */
function save(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

/** Of several files from another server, those the page may hold until they are saved. Browsers keep them on disk. */
const heldMaxBytes = 1 << 30;
/** The browser has begun to read by then. */
const releaseMs = 60_000;

export class TooLargeTogether extends Error {
  override readonly name = "TooLargeTogether";
}

export async function downloadOne(api: Api, entry: Entry): Promise<void> {
  save(await api.downloadUrl(entry), entry.name);
}

/**
 * One file after the other; those that cannot be had are given back, and keep no other one back. Of another server's file a
 * browser makes a navigation, which ends the one before it if that has not been answered: such files are fetched here first,
 * all but the last.
 */
export async function downloadAll(
  api: Api,
  entries: readonly Entry[],
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Failed[]> {
  const failed: Failed[] = [];
  // The one that is left to the browser comes last: nothing follows that could end it.
  const ordered = [...entries].sort((one, other) => one.sizeBytes - other.sizeBytes);
  for (const [done, entry] of ordered.entries()) {
    onProgress(done);
    try {
      const url = await api.persist(signal, () => api.downloadUrl(entry, false, signal));
      const last = done === ordered.length - 1;
      if (last || new URL(url).origin === location.origin) save(url, entry.name);
      else if (entry.sizeBytes > heldMaxBytes) throw new TooLargeTogether();
      else await fetchAndSave(api, url, entry, signal);
    } catch (error) {
      if (signal.aborted) return failed;
      failed.push({ name: entry.name, error });
    }
  }
  return failed;
}

async function fetchAndSave(api: Api, url: string, entry: Entry, signal: AbortSignal): Promise<void> {
  const blob = await api.persist(signal, async () => {
    try {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new ApiError(Code.SERVER, `HTTP ${response.status}`);
      return await response.blob();
    } catch (cause) {
      if (signal.aborted || cause instanceof ApiError) throw cause;
      throw new ApiError(Code.NETWORK, "no reply", { cause });
    }
  });
  const held = URL.createObjectURL(blob);
  save(held, entry.name);
  setTimeout(() => URL.revokeObjectURL(held), releaseMs);
}
