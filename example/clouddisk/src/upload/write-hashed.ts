import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import type { SizeLimit } from "../common/hashing.js";

/**
 * Bytes of one write: twice as many each time, from the one to the other. So a client that stops midway keeps no more memory than it
 * has sent.
 */
const pieceMinBytes = 65_536;
const pieceMaxBytes = 1_048_576;

/** A new file that is written in big pieces, one while the next one gathers. */
class Pieces {
  readonly #file: string;
  #handle: FileHandle | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #pieceBytes = pieceMinBytes;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  async add(chunk: Buffer): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= this.#pieceBytes) await this.#next();
  }

  /** The bytes are durable when this resolves; the name is not. */
  async finish(): Promise<void> {
    await this.#next();
    await this.#writing;
    await this.#handle?.datasync();
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#handle?.close();
  }

  /** Begins to write what has gathered, once what was before it is written. */
  async #next(): Promise<void> {
    await this.#writing;
    this.#handle ??= await openNew(this.#file);
    const pieces = this.#gathered;
    const sizeBytes = this.#gatheredBytes;
    this.#pieceBytes = Math.min(2 * this.#pieceBytes, pieceMaxBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = writeAll(this.#handle, pieces, sizeBytes);
    // Who waits for it next is told; until then it is nobody's unhandled rejection.
    this.#writing.catch(() => {});
  }
}

async function openNew(file: string): Promise<FileHandle> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    // Most of the time the folder is there.
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    return open(file, "wx", 0o600);
  }
}

/** A disk that is getting full takes less than it is given, and says so only the next time. */
async function writeAll(handle: FileHandle, pieces: readonly Buffer[], sizeBytes: number): Promise<void> {
  if (sizeBytes === 0) return;
  const { bytesWritten } = await handle.writev(pieces);
  if (bytesWritten === sizeBytes) return;
  const rest = Buffer.concat(pieces).subarray(bytesWritten);
  for (let done = 0; done < rest.length; ) done += (await handle.write(rest, done)).bytesWritten;
}

/** Writes a stream to a new file and hashes it; the bytes are durable when this resolves. Rejects with `limit.error` when it has more. */
export async function writeHashed(
  body: Readable,
  file: string,
  limit: SizeLimit,
): Promise<{ fileHash: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  const pieces = new Pieces(file);
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
