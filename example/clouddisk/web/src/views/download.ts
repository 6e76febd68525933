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

export async function downloadOne(api: Api, entry: Entry): Promise<void> {
  save(await api.downloadUrl(entry), entry.name);
}

/**
 * One file after the other; those that cannot be had are given back, and keep no other one back. Of another server's file a
 * browser makes a navigation, which ends the one before it if that has not been answered. So of such files, all but the last,
 * the small ones are fetched here first, and each large one is the navigation of a frame of its own.
 */
export async function downloadAll(
  api: Api,
  entries: readonly Entry[],
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Failed[]> {
  const failed: Failed[] = [];
  // What the browser does by itself comes last: it may take all connections there are to that server.
  const ordered = [...entries].sort((one, other) => one.sizeBytes - other.sizeBytes);
  for (const [done, entry] of ordered.entries()) {
    onProgress(done);
    try {
      const url = await api.persist(signal, () => api.downloadUrl(entry, false, signal));
      const last = done === ordered.length - 1;
      if (last || new URL(url).origin === location.origin) save(url, entry.name);
      else if (entry.sizeBytes > heldMaxBytes) await saveInFrame(api, url, signal);
      else await fetchAndSave(api, url, entry, signal);
    } catch (error) {
      if (signal.aborted) return failed;
      failed.push({ name: entry.name, error });
    }
  }
  return failed;
}

async function fetchAndSave(api: Api, url: string, entry: Entry, signal: AbortSignal): Promise<void> {
  const blob = await fetched(api, url, {}, signal);
  const held = URL.createObjectURL(blob);
  save(held, entry.name);
  setTimeout(() => URL.revokeObjectURL(held), releaseMs);
}

/** A frame does not tell what becomes of it, so the first byte is fetched here: a refusal is known by that. */
async function saveInFrame(api: Api, url: string, signal: AbortSignal): Promise<void> {
  await fetched(api, url, { range: "bytes=0-0" }, signal);
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.src = url;
  // It stays: the request may wait for a connection until another download has ended, and would end with its frame.
  document.body.append(frame);
}

function fetched(api: Api, url: string, headers: HeadersInit, signal: AbortSignal): Promise<Blob> {
  return api.persist(signal, async () => {
    try {
      const response = await fetch(url, { headers, signal });
      if (!response.ok) throw new ApiError(Code.SERVER, `HTTP ${response.status}`);
      return await response.blob();
    } catch (cause) {
      if (signal.aborted || cause instanceof ApiError) throw cause;
      throw new ApiError(Code.NETWORK, "no reply", { cause });
    }
  });
}
