import type { WatchEvent } from "../account/gen/account.js";

/** A client that comes back does so after one to three seconds: not all at once after a restart. */
const retryMinMs = 1_000;
const retryMaxMs = 3_000;

/** Last in a feed that ends though its session goes on. */
export function retryText(): string {
  return `retry: ${Math.round(retryMinMs + Math.random() * (retryMaxMs - retryMinMs))}\n\n`;
}

/** An event as text/event-stream has it. JSON has no line ends, and no int64: these are beneath 2^53. */
export function eventText(event: WatchEvent): string {
  const { kind, entry, upload } = event;
  const cursor = Number(event.cursor);
  if (kind === "signed_out") return "event: signedOut\ndata: {}\n\n";
  const atMs = Number(event.atMs);
  if (entry !== undefined) {
    const { name, folder } = entry;
    const id = Number(entry.id);
    const parentId = Number(entry.parentId);
    return text(cursor, "entry", {
      change: kind,
      atMs,
      entry: { id, parentId, fromParentId: Number(entry.fromParentId), name, folder },
    });
  }
  if (upload !== undefined) {
    const { id, name, partsDone, partCount, state } = upload;
    const sizeBytes = Number(upload.sizeBytes);
    const parentId = Number(upload.parentId);
    return text(cursor, "upload", {
      atMs,
      upload: { id, parentId, name, sizeBytes, partsDone, partCount, state },
    });
  }
  return text(cursor, kind, { atMs });
}

function text(cursor: number, name: string, data: object): string {
  return `id: ${cursor}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
