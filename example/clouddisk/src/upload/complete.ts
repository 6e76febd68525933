import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Code, Refusal } from "../common/codes.js";
import { hashOf } from "../common/hashing.js";
import { isGone } from "../common/instance.js";
import { OnNode } from "../common/nodes.js";
import type { EntryRow, UploadRow } from "../dbproxy/actions.js";
import type { Step, UploadContext } from "./context.js";
import { overQuota } from "./refusals.js";
import { stage } from "./whole.js";

const leaseMs = 15_000;
const renewMs = 4_000;
/** How long a complete waits for another one of the same upload, in another process. */
const patienceMs = 10_000;
const lookAgainMs = 100;

export interface Completed {
  /** null: it was deleted since. */
  entry: EntryRow | null;
}

/**
 * Makes a file of an upload whose parts have all arrived. Every step can be done again: a complete that was killed anywhere is
 * simply asked for once more, and ends with one row.
 *
 *     open -> merging -> parts all there -> hash right -> renamed to content/ -> finished (row, quota, outbox) -> progress cleared
 */
export class Completer {
  readonly #context: UploadContext;
  readonly #running = new Map<string, Promise<Completed>>();

  constructor(context: UploadContext) {
    this.#context = context;
  }

  /** Throws Refusal: -1 the content has another hash, -2 not yet, 10007, 10008, 10009. */
  complete(userId: number, id: string): Promise<Completed> {
    const key = `${userId} ${id}`;
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#complete(userId, id).finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    return running;
  }

  async #complete(userId: number, id: string): Promise<Completed> {
    const { database, instance } = this.#context.host;
    const owner = `${instance}/${randomBytes(6).toString("hex")}`;
    const giveUpAtMs = performance.now() + patienceMs;
    for (;;) {
      const start = await database.run("upload.startMerge", { id, userId, owner, leaseMs });
      switch (start.outcome) {
        case "done":
          return { entry: start.entry };
        case "not_found":
          throw new Refusal(Code.NOT_FOUND, "you have no such upload");
        case "closed":
          throw new Refusal(Code.CONFLICT, "the upload was cancelled or has expired");
        case "busy":
          if (isGone(start.owner)) {
            await database.run("upload.stopMerge", { id, owner: start.owner });
            continue;
          }
          if (performance.now() > giveUpAtMs)
            throw new Refusal(Code.RETRY, "the upload is being completed; ask again");
          await delay(lookAgainMs);
          continue;
        default:
          return this.#merge(start.upload, owner);
      }
    }
  }

  async #merge(upload: UploadRow, owner: string): Promise<Completed> {
    const { host } = this.#context;
    const { id } = upload;
    let renewing: Promise<unknown> = Promise.resolve();
    const timer = setInterval(() => {
      renewing = renewing.then(() => this.#hold(upload, owner)).catch(() => {});
    }, renewMs);
    let finished = false;
    try {
      const completed = await this.#finish(upload, owner);
      finished = true;
      return completed;
    } finally {
      clearInterval(timer);
      // A renewal that came after the end would hold it for all of the lease.
      await renewing;
      // Back to open, for what is missing; after a failure that passes as well, so that nobody has to wait for the lease.
      if (!finished) await host.database.run("upload.stopMerge", { id, owner }).catch(() => {});
    }
  }

  /** Throws Refusal (-2) when another process has taken over, as it may after a long stop of this one. */
  async #hold({ id, userId }: UploadRow, owner: string): Promise<void> {
    const { database } = this.#context.host;
    const { outcome } = await database.run("upload.startMerge", { id, userId, owner, leaseMs });
    if (outcome !== "started") throw lost();
  }

  async #finish(upload: UploadRow, owner: string): Promise<Completed> {
    const { host, progress, log } = this.#context;
    const step = async (name: Step): Promise<void> => this.#context.onStep?.(name, upload.id);
    if (upload.node !== host.settings.node) throw elsewhere(upload);
    await step("merging");
    // Whoever has the content: without all parts nobody has shown that he has it too.
    await this.#checkParts(upload, owner);
    if (!(await this.#isStaged(upload))) {
      await this.#checkHash(upload, owner);
      await step("hashed");
      await stage(this.#context, this.#context.staging.parts(upload.id), upload.fileHash);
    }
    await step("renamed");
    const done = await host.database.run("upload.finish", { id: upload.id, owner });
    if (done.outcome !== "ok") throw done.outcome === "quota" ? overQuota() : lost();
    await step("finished");
    this.#context.submit();
    try {
      await progress.clear(upload.id);
    } catch (error) {
      log.warn("progress is left to the cleaner", { uploadId: upload.id, error: String(error) });
    }
    await step("cleared");
    return { entry: done.entry };
  }

  /** An earlier attempt died after the rename: the parts are gone, and the content is there and right. */
  async #isStaged({ id, fileHash, sizeBytes }: UploadRow): Promise<boolean> {
    const { staging } = this.#context;
    if (await exists(staging.parts(id))) return false;
    if (!(await exists(staging.content(fileHash)))) {
      // Transfer may have stored it already, for another upload of the same content.
      const { content } = await this.#context.host.database.run("content.get", { fileHash });
      return content?.state === "stored" && content.sizeBytes === sizeBytes;
    }
    const found = await hashOf(createReadStream(staging.content(fileHash), { highWaterMark: 1_048_576 }));
    return found.fileHash === fileHash && found.sizeBytes === sizeBytes;
  }

  async #checkParts(upload: UploadRow, owner: string): Promise<void> {
    const { id, partCount } = upload;
    const { parts, claims } = await this.#context.progress.list(id);
    const missing: number[] = [];
    for (let index = 0; index < partCount && missing.length < 1000; index++) {
      if (!parts.has(index)) missing.push(index);
    }
    if (missing.length > 0) {
      if (!(await exists(this.#context.staging.parts(id)))) await this.#partsAreGone(upload, owner);
      const shown = missing.slice(0, 10).join(", ");
      throw new Refusal(Code.RETRY, `missing of ${partCount} parts: ${shown}`, {
        data: { missing },
      });
    }
    // A part that is there is not written; a claim can only be one that is about to find that out.
    if (claims > 0) throw new Refusal(Code.RETRY, "parts are still being written; ask again");
  }

  /** Makes room for them to be sent again. */
  async #partsAreGone(upload: UploadRow, owner: string): Promise<never> {
    // Unless another process has completed it meanwhile.
    await this.#hold(upload, owner);
    await this.#context.progress.clear(upload.id);
    await (await open(this.#context.staging.parts(upload.id), "a", 0o600)).close();
    throw new Refusal(Code.RETRY, "the parts are gone from the server's disk; send them again");
  }

  async #checkHash(upload: UploadRow, owner: string): Promise<void> {
    const { id, fileHash, sizeBytes } = upload;
    const { staging, progress } = this.#context;
    const file = staging.parts(id);
    if (!(await exists(file))) await this.#partsAreGone(upload, owner);
    const found = await hashOf(createReadStream(file, { highWaterMark: 1_048_576 }));
    // That may have taken long: from here on things are changed.
    await this.#hold(upload, owner);
    if (found.fileHash === fileHash && found.sizeBytes === sizeBytes) return;
    await progress.clear(id);
    throw new Refusal(
      Code.UPLOAD_NORMALLY,
      `the content's SHA-256 is ${found.fileHash}, not ${fileHash}; send all parts again`,
    );
  }
}

function lost(): Refusal {
  return new Refusal(Code.RETRY, "the upload is being completed elsewhere; ask again");
}

export function elsewhere({ node }: UploadRow): OnNode {
  return new OnNode(node, "upload", "the upload");
}

async function exists(file: string): Promise<boolean> {
  try {
    await (await open(file, "r")).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** The sparse file of an upload that is over. */
export async function removeParts({ staging, progress }: UploadContext, uploadId: string): Promise<void> {
  await rm(staging.parts(uploadId), { force: true });
  await progress.clear(uploadId);
}
