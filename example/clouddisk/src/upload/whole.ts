import { createWriteStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Code, Refusal } from "../common/codes.js";
import { HashingStream, type SizeLimit } from "../common/hashing.js";
import { tempName } from "../common/instance.js";
import type { EntryRow } from "../dbproxy/actions.js";
import type { UploadContext } from "./context.js";
import { checkRoom, throwNoRoom } from "./room.js";

export interface WholeFile {
  userId: number;
  parentId: number;
  name: string;
  /** Empty: whatever it is. */
  fileHash: string;
}

/** Gives a file its place among the staged contents; durable when this resolves. */
export async function stage({ staging }: UploadContext, file: string, fileHash: string): Promise<void> {
  const target = staging.content(fileHash);
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  await rename(file, target);
  const folder = await open(path.dirname(target), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function tooLarge(sizeMaxBytes: number): Refusal {
  return new Refusal(Code.QUOTA, `the file is larger than ${sizeMaxBytes} bytes ([upload] filemax)`);
}

/** A body that is on the disk, and nobody's file yet. */
export interface ReceivedFile {
  readonly temp: string;
  readonly fileHash: string;
  readonly sizeBytes: number;
  discard(): Promise<void>;
}

/**
 * Streams a body to disk while hashing it, no more of it than the user has room for. Nothing stays of one that fails or is
 * cut off.
 */
export async function receiveWhole(
  context: UploadContext,
  userId: number,
  body: Readable,
): Promise<ReceivedFile> {
  const { staging } = context;
  const temp = path.join(staging.wholeFolder, tempName());
  const discard = () => rm(temp, { force: true });
  try {
    await checkRoom(context, 0);
    const hashing = new HashingStream({ limit: await sizeLimit(context, userId) });
    await mkdir(staging.wholeFolder, { recursive: true, mode: 0o700 });
    await pipeline(body, hashing, createWriteStream(temp, { flags: "wx", mode: 0o600, flush: true }));
    return { temp, fileHash: hashing.digest(), sizeBytes: hashing.sizeBytes, discard };
  } catch (error) {
    await discard();
    throwNoRoom(context, error);
  }
}

/** Before a body is received: who has no room for it must not fill the disk with it. */
async function sizeLimit({ host }: UploadContext, userId: number): Promise<SizeLimit> {
  const { fileMaxBytes } = host.settings.upload;
  const { user } = await host.database.run("user.get", { userId });
  const leftBytes = Math.max(0, (user?.quotaBytes ?? 0) - (user?.usedBytes ?? 0));
  return leftBytes < fileMaxBytes
    ? { sizeMaxBytes: leftBytes, error: overQuota() }
    : { sizeMaxBytes: fileMaxBytes, error: tooLarge(fileMaxBytes) };
}

/** Makes a file of what was received. Nothing stays of one that has another hash. */
export async function addWhole(
  context: UploadContext,
  received: ReceivedFile,
  { userId, parentId, name, fileHash: wanted }: WholeFile,
): Promise<EntryRow> {
  const { fileHash, sizeBytes, temp } = received;
  const { database, settings } = context.host;
  try {
    if (wanted !== "" && wanted !== fileHash) {
      throw new Refusal(Code.UPLOAD_NORMALLY, `the content's SHA-256 is ${fileHash}, not ${wanted}`);
    }
    await stage(context, temp, fileHash);
    const file = { userId, parentId, name, fileHash, sizeBytes, node: settings.node };
    const added = await database.run("upload.whole", { ...file, onConflict: "rename" });
    // The staged copy of a refused one is transfer's to clean: another user's upload may have put the same there.
    if (added.outcome !== "ok") throw added.outcome === "quota" ? overQuota() : noFolder(parentId);
    context.submit(fileHash);
    return added.entry;
  } finally {
    await received.discard();
  }
}

export function overQuota(): Refusal {
  return new Refusal(
    Code.QUOTA,
    "the file exceeds your quota; delete something for good first ([account] quota)",
  );
}

export function noFolder(parentId: number): Refusal {
  return new Refusal(Code.NOT_FOUND, `there is no folder ${parentId}`);
}
