import type { UploadContext } from "./context.js";

/** A disk without room, or that takes no file so large, as 507; the log is told which disk. Throws any other error as it is. */
export function throwNoRoom({ staging }: UploadContext, error: unknown): never {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(code)) throw error;
  throw Object.assign(new Error(`no room in ${staging.folder}`, { cause: error }), { code: "ENOSPC" });
}
