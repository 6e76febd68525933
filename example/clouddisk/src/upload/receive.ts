import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { Code, Refusal } from "../common/codes.js";
import { isGone } from "../common/instance.js";
import type { UploadRow } from "../dbproxy/actions.js";
import type { PartKey } from "../progress/progress.js";
import type { UploadContext } from "./context.js";
import { Pieces } from "./pieces.js";
import { throwNoRoom } from "./room.js";

/** A writer that renews its claim this often has it; one that was stopped for longer than the lease writes nothing more. */
const leaseMs = 30_000;
const renewMs = 8_000;
const releaseEveryMs = 500;
/** A write that was begun ends within this. */
const marginMs = 5_000;

export interface IncomingPart {
  index: number;
  /** What the client says it is; empty: it does not say. */
  partHash: string;
  body: Readable;
  /** undefined: chunked. */
  contentLength: number | undefined;
}

export function partLength({ sizeBytes, partBytes, partCount }: UploadRow, index: number): number {
  return index === partCount - 1 ? sizeBytes - index * partBytes : partBytes;
}

function wrongHash(found: string): Refusal {
  return new Refusal(Code.RETRY, `the part's SHA-256 is ${found}; send it again`);
}

/** Holds the claim on a part, and knows whether it still does. */
class Claim {
  readonly key: PartKey;
  readonly #context: UploadContext;
  readonly #timer: NodeJS.Timeout;
  #renewedAtMs: number;
  #renewing: Promise<void> = Promise.resolve();

  constructor(context: UploadContext, key: PartKey, askedAtMs: number) {
    this.#context = context;
    this.key = key;
    this.#renewedAtMs = askedAtMs;
    this.#timer = setInterval(() => {
      this.#renewing = this.#renewing.then(() => this.#renew());
    }, renewMs);
  }

  async #renew(): Promise<void> {
    const askedAtMs = performance.now();
    try {
      const { outcome } = await this.#context.progress.claim(this.key, leaseMs);
      if (outcome === "claimed") this.#renewedAtMs = askedAtMs;
    } catch {
      // The next one may work; until then the lease runs.
    }
  }

  /** Throws when somebody else may have the part by now. */
  check(): void {
    if (performance.now() - this.#renewedAtMs < leaseMs - marginMs) return;
    throw new Refusal(Code.RETRY, "the part took too long; send it again");
  }

  /** Afterwards no renewal is under way: one that came after the release would hold the part for all of the lease. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
  }
}

/**
 * Writes a part at its final offset, hashing it on the way. Only whoever has the claim on it writes, and checks that before every
 * write, so that nothing changes under a complete that has found all parts recorded. Throws Refusal.
 */
export async function receivePart(
  context: UploadContext,
  upload: UploadRow,
  part: IncomingPart,
): Promise<void> {
  const { progress } = context;
  const lengthBytes = partLength(upload, part.index);
  if (part.contentLength !== undefined && part.contentLength !== lengthBytes) {
    throw new Refusal(
      Code.PARAMETER,
      `part ${part.index} has ${lengthBytes} bytes, not ${part.contentLength}`,
    );
  }
  const owner = `${context.host.instance}/${randomBytes(6).toString("hex")}`;
  const key = { uploadId: upload.id, index: part.index, owner };
  const askedAtMs = performance.now();
  let claimed = await progress.claim(key, leaseMs);
  if (claimed.outcome === "busy" && isGone(claimed.owner)) {
    // Its process was killed: nobody has to wait for the lease.
    await progress.release({ ...key, owner: claimed.owner });
    claimed = await progress.claim(key, leaseMs);
  }
  if (claimed.outcome === "busy") {
    throw new Refusal(
      Code.RETRY,
      `part ${part.index} is being written by another request; send it again in a moment`,
    );
  }
  if (claimed.outcome === "recorded") return compare(part, lengthBytes, claimed.partHash);
  const claim = new Claim(context, key, askedAtMs);
  let recorded = false;
  try {
    const partHash = await write(context, upload, part, claim);
    if (part.partHash !== "" && part.partHash !== partHash) throw wrongHash(partHash);
    const { open } = await context.host.database.run("upload.touch", { id: upload.id });
    if (!open) throw new Refusal(Code.CONFLICT, "the upload is closed");
    claim.check();
    recorded = await progress.record(key, partHash);
    if (!recorded) throw new Refusal(Code.RETRY, "the part took too long; send it again");
  } finally {
    await claim.stop();
    if (!recorded) await release(context, key);
  }
}

/** While the progress is away, again in the background, for as long as the claim would be in anybody's way. */
async function release({ progress }: UploadContext, key: PartKey): Promise<void> {
  const endAtMs = performance.now() + leaseMs;
  const again = async (): Promise<void> => {
    try {
      await progress.release(key);
    } catch {
      if (performance.now() < endAtMs) setTimeout(() => void again(), releaseEveryMs).unref();
    }
  };
  await again();
}

/** A part that is there already is not written again: what was checked stays. */
async function compare(part: IncomingPart, lengthBytes: number, partHash: string): Promise<void> {
  const hash = createHash("sha256");
  let receivedBytes = 0;
  for await (const chunk of part.body as AsyncIterable<Buffer>) {
    receivedBytes += chunk.length;
    if (receivedBytes > lengthBytes) throw wrongLength(part.index, lengthBytes, "more");
    hash.update(chunk);
  }
  if (receivedBytes < lengthBytes) throw wrongLength(part.index, lengthBytes, "fewer");
  const found = hash.digest("hex");
  if (found !== partHash)
    throw new Refusal(Code.RETRY, `part ${part.index} is there already with another content`);
}

async function write(
  context: UploadContext,
  upload: UploadRow,
  part: IncomingPart,
  claim: Claim,
): Promise<string> {
  const lengthBytes = partLength(upload, part.index);
  const start = part.index * upload.partBytes;
  const hash = createHash("sha256");
  const check = (): void => claim.check();
  const shared = context.staging.parts(upload.id);
  const pieces = new Pieces({ open: () => openParts(context, upload.id), start, check, shared });
  try {
    let receivedBytes = 0;
    for await (const chunk of part.body as AsyncIterable<Buffer>) {
      if (receivedBytes + chunk.length > lengthBytes) throw wrongLength(part.index, lengthBytes, "more");
      hash.update(chunk);
      await pieces.add(chunk);
      receivedBytes += chunk.length;
    }
    if (receivedBytes < lengthBytes) throw wrongLength(part.index, lengthBytes, "fewer");
    await pieces.finish();
  } catch (error) {
    throwNoRoom(context, error);
  } finally {
    await pieces.close();
  }
  return hash.digest("hex");
}

function wrongLength(index: number, lengthBytes: number, how: string): Refusal {
  return new Refusal(Code.PARAMETER, `part ${index} has ${lengthBytes} bytes; ${how} were sent`);
}

async function openParts({ staging }: UploadContext, uploadId: string): Promise<FileHandle> {
  try {
    // Never made here: one that is gone was cancelled or is complete.
    return await open(staging.parts(uploadId), "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Refusal(Code.CONFLICT, "the upload is closed");
  }
}
