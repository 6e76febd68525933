import { statfs } from "node:fs/promises";
import type { UploadContext } from "./context.js";

/** How long a look at the disk counts, for bodies that are small beside `[upload] reserve`. */
const believedMs = 100;

const looks = new WeakMap<UploadContext, { freeBytes: number; untilMs: number }>();

async function freeBytesOf(context: UploadContext): Promise<number> {
  const known = looks.get(context);
  if (known !== undefined && known.untilMs > performance.now()) return known.freeBytes;
  const { bavail, bsize } = await statfs(context.host.settings.dataFolder);
  const freeBytes = bavail * bsize;
  looks.set(context, { freeBytes, untilMs: performance.now() + believedMs });
  return freeBytes;
}

/**
 * Before anything is received: throws the 507 of a full disk when it has no room for so many bytes and `[upload] reserve`, which
 * the database needs, to sign people in and to delete.
 */
export async function checkRoom(context: UploadContext, sizeBytes: number): Promise<void> {
  const { reserveBytes } = context.host.settings.upload;
  if ((await freeBytesOf(context)) >= sizeBytes + reserveBytes) return;
  throw noRoom(context.staging.folder, "[upload] reserve is kept free");
}

/** A disk without room, or that takes no file so large, as 507; the log is told which disk. Throws any other error as it is. */
export function throwNoRoom({ staging }: UploadContext, error: unknown): never {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(code)) throw error;
  throw noRoom(staging.folder, error);
}

function noRoom(folder: string, cause: unknown): Error {
  return Object.assign(new Error(`no room in ${folder}`, { cause }), { code: "ENOSPC" });
}
