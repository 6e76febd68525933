import { statfs } from "node:fs/promises";
import type { UploadContext } from "./context.js";

/**
 * Before anything is received: throws the 507 of a full disk when it has no room for so many bytes and `[upload] reserve`, which
 * the database needs, to sign people in and to delete.
 */
export async function checkRoom({ host, staging }: UploadContext, sizeBytes: number): Promise<void> {
  const { dataFolder, upload } = host.settings;
  const { bavail, bsize } = await statfs(dataFolder);
  if (bavail * bsize >= sizeBytes + upload.reserveBytes) return;
  throw noRoom(staging.folder, "[upload] reserve is kept free");
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
