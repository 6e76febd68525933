import type { SizeLimit } from "../common/hashing.js";
import type { UploadContext } from "./context.js";
import { overQuota, tooLarge } from "./refusals.js";

/** How long what a user has left is believed. Only this process's uploads are taken off it meanwhile. */
const believedMs = 1_000;
const usersMax = 10_000;

interface Left {
  leftBytes: number;
  untilMs: number;
}

const known = new WeakMap<UploadContext, Map<number, Left>>();

function leftOf(context: UploadContext): Map<number, Left> {
  let users = known.get(context);
  if (users === undefined) {
    users = new Map();
    known.set(context, users);
  }
  return users;
}

/**
 * Before a body is received: who has no room for it must not fill the disk with it. Who has plenty is not asked about again at each of
 * many small files: the database has the last word on every one.
 */
export async function sizeLimit(
  context: UploadContext,
  userId: number,
  contentLength: number | undefined,
): Promise<SizeLimit> {
  const { database, settings } = context.host;
  const { fileMaxBytes } = settings.upload;
  const users = leftOf(context);
  let left = users.get(userId);
  const enough = contentLength !== undefined && left !== undefined && contentLength <= left.leftBytes;
  if (left === undefined || !enough || left.untilMs <= performance.now()) {
    const { user } = await database.run("user.get", { userId });
    const leftBytes = Math.max(0, (user?.quotaBytes ?? 0) - (user?.usedBytes ?? 0));
    left = { leftBytes, untilMs: performance.now() + believedMs };
    users.delete(userId);
    const [oldest] = users.keys();
    if (oldest !== undefined && users.size >= usersMax) users.delete(oldest);
    users.set(userId, left);
  }
  const { leftBytes } = left;
  left.leftBytes = Math.max(0, leftBytes - (contentLength ?? 0));
  return leftBytes < fileMaxBytes
    ? { sizeMaxBytes: leftBytes, error: overQuota() }
    : { sizeMaxBytes: fileMaxBytes, error: tooLarge(fileMaxBytes) };
}
