import { createHash } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { Code, Refusal } from "../common/codes.js";
import { placeFile } from "../common/durable.js";
import type { SizeLimit } from "../common/hashing.js";
import { tempName } from "../common/instance.js";
import type { EntryRow } from "../dbproxy/actions.js";
import type { UploadContext } from "./context.js";
import { openNew, Pieces } from "./pieces.js";
import { sizeLimit } from "./quota.js";
import { noFolder, overQuota } from "./refusals.js";
import { checkRoom, throwNoRoom } from "./room.js";

export interface WholeFile {
  userId: number;
  parentId: number;
  name: string;
  /** Empty: whatever it is. */
  fileHash: string;
}

/** Gives a file its place among the staged contents; durable when this resolves. */
export function stage({ staging }: UploadContext, file: string, fileHash: string): Promise<void> {
  const target = staging.content(fileHash);
  return placeFile(target, () => rename(file, target));
}

/** A body that is on the disk, and nobody's file yet. */
export class ReceivedFile {
  readonly temp: string;
  readonly fileHash: string;
  readonly sizeBytes: number;
  #there = true;

  constructor(temp: string, { fileHash, sizeBytes }: { fileHash: string; sizeBytes: number }) {
    this.temp = temp;
    this.fileHash = fileHash;
    this.sizeBytes = sizeBytes;
  }

  async stage(context: UploadContext): Promise<void> {
    await stage(context, this.temp, this.fileHash);
    this.#there = false;
  }

  async discard(): Promise<void> {
    if (!this.#there) return;
    this.#there = false;
    await rm(this.temp, { force: true });
  }
}

/** The bytes are durable when this resolves. Rejects with `limit.error` when there are more. */
async function write(
  body: Readable,
  temp: string,
  limit: SizeLimit,
): Promise<{ fileHash: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  const pieces = new Pieces({ open: () => openNew(temp) });
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > limit.sizeMaxBytes) throw limit.error;
      hash.update(chunk);
      await pieces.add(chunk);
    }
    await pieces.finish();
  } finally {
    await pieces.close();
  }
  return { fileHash: hash.digest("hex"), sizeBytes };
}

/**
 * Streams a body to disk while hashing it, no more of it than the user has room for. Nothing stays of one that fails or is
 * cut off. `contentLength`: what the body has at most; undefined: nobody knows.
 */
export async function receiveWhole(
  context: UploadContext,
  userId: number,
  body: Readable,
  contentLength: number | undefined,
): Promise<ReceivedFile> {
  const temp = path.join(context.staging.wholeFolder, tempName());
  try {
    await checkRoom(context, 0);
    const limit = await sizeLimit(context, userId, contentLength);
    return new ReceivedFile(temp, await write(body, temp, limit));
  } catch (error) {
    await rm(temp, { force: true });
    throwNoRoom(context, error);
  }
}

/** Makes a file of what was received. Nothing stays of one that has another hash. */
export async function addWhole(
  context: UploadContext,
  received: ReceivedFile,
  { userId, parentId, name, fileHash: wanted }: WholeFile,
): Promise<EntryRow> {
  const { fileHash, sizeBytes } = received;
  const { database, settings } = context.host;
  try {
    if (wanted !== "" && wanted !== fileHash) {
      throw new Refusal(Code.UPLOAD_NORMALLY, `the content's SHA-256 is ${fileHash}, not ${wanted}`);
    }
    await received.stage(context);
    const file = { userId, parentId, name, fileHash, sizeBytes, node: settings.node };
    const added = await database.run("upload.whole", { ...file, onConflict: "rename" });
    // The staged copy of a refused one is transfer's to clean: another user's upload may have put the same there.
    if (added.outcome !== "ok") throw added.outcome === "quota" ? overQuota() : noFolder(parentId);
    context.submit();
    return added.entry;
  } finally {
    await received.discard();
  }
}
