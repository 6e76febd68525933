import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Code, Refusal } from "../common/codes.js";
import { HashingStream } from "../common/hashing.js";
import type { EntryRow } from "../dbproxy/actions.js";
import type { UploadContext } from "./context.js";

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

/** Streams a body to disk while hashing it. Nothing stays of one that fails, is cut off or has another hash. */
export async function receiveWhole(
  context: UploadContext,
  body: Readable,
  file: WholeFile,
): Promise<EntryRow> {
  const { staging, host } = context;
  const temp = path.join(staging.wholeFolder, randomBytes(16).toString("hex"));
  await mkdir(staging.wholeFolder, { recursive: true, mode: 0o700 });
  try {
    const { fileMaxBytes } = host.settings.upload;
    const hashing = new HashingStream({
      limit: { sizeMaxBytes: fileMaxBytes, error: tooLarge(fileMaxBytes) },
    });
    await pipeline(body, hashing, createWriteStream(temp, { flags: "wx", mode: 0o600, flush: true }));
    const fileHash = hashing.digest();
    if (file.fileHash !== "" && file.fileHash !== fileHash) {
      throw new Refusal(Code.UPLOAD_NORMALLY, `the content's SHA-256 is ${fileHash}, not ${file.fileHash}`);
    }
    await stage(context, temp, fileHash);
    const { userId, parentId, name } = file;
    const added = await host.database.run("upload.whole", {
      userId,
      parentId,
      name,
      fileHash,
      sizeBytes: hashing.sizeBytes,
      node: host.settings.node,
      onConflict: "rename",
    });
    // The staged copy of a refused one is transfer's to clean: another user's upload may have put the same there.
    if (added.outcome !== "ok") throw added.outcome === "quota" ? overQuota() : noFolder(parentId);
    context.submit(fileHash);
    return added.entry;
  } finally {
    await rm(temp, { force: true });
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
