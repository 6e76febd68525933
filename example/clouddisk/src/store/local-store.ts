import { createReadStream, createWriteStream } from "node:fs";
import { chmod, link, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { placeFile } from "../common/durable.js";
import { makeFolder } from "../common/folder.js";
import { HashingStream, hashOf } from "../common/hashing.js";
import { isTempGone, tempName } from "../common/instance.js";
import { type ByteRange, type ObjectStore, StoreError } from "./store.js";

const chunkBytes = 512 * 1024;
/** A temp file this old, of a process of another machine, belongs to nobody any more. */
const tempTtlMs = 24 * 3_600_000;

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

function wrongBytes(file: string, fileHash: string, sizeBytes: number): StoreError {
  return new StoreError("wrong", `${file} is not ${fileHash} of ${sizeBytes} bytes`);
}

/** A second name for the file, whose bytes are right and durable. False: it is on another disk, or no disk for that. */
async function linkChecked(
  file: string,
  temp: string,
  fileHash: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  // First, so that what is hashed is what gets the name, whatever becomes of the path meanwhile.
  try {
    await link(file, temp);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) return false;
    throw error;
  }
  const handle = await open(temp, "r");
  try {
    const stream = handle.createReadStream({
      highWaterMark: chunkBytes,
      autoClose: false,
      ...(signal === undefined ? {} : { signal }),
    });
    const found = await hashOf(stream);
    if (found.sizeBytes !== sizeBytes || found.fileHash !== fileHash)
      throw wrongBytes(file, fileHash, sizeBytes);
    await handle.sync();
    return true;
  } finally {
    await handle.close();
  }
}

async function copyChecked(
  file: string,
  temp: string,
  fileHash: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hashing = new HashingStream({ highWaterMark: chunkBytes });
  const source = createReadStream(file, { highWaterMark: chunkBytes });
  // `flush` makes the bytes durable before the name is given.
  const sink = createWriteStream(temp, { flags: "wx", mode: 0o600, flush: true, highWaterMark: chunkBytes });
  await pipeline(source, hashing, sink, signal === undefined ? {} : { signal });
  if (hashing.sizeBytes !== sizeBytes || hashing.digest() !== fileHash)
    throw wrongBytes(file, fileHash, sizeBytes);
}

/** A folder: `<ab>/<hash>`, and `tmp/` for what is being written. */
export class LocalStore implements ObjectStore {
  readonly name: string;
  readonly #folder: string;
  readonly #temp: string;

  private constructor(folder: string) {
    this.name = `local:${folder}`;
    this.#folder = folder;
    this.#temp = path.join(folder, "tmp");
  }

  /** Makes the folder. Rejects when that cannot be, naming the key. */
  static async open(folder: string): Promise<LocalStore> {
    const store = new LocalStore(path.resolve(folder));
    try {
      makeFolder(store.#temp);
      await store.#removeOldTemps();
    } catch (error) {
      throw new Error(`[store] url: ${folder} cannot be used: ${(error as Error).message}`, { cause: error });
    }
    return store;
  }

  async #removeOldTemps(): Promise<void> {
    for (const name of await readdir(this.#temp)) {
      const file = path.join(this.#temp, name);
      const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
      if (isTempGone(name) || Date.now() - mtimeMs > tempTtlMs) await rm(file, { force: true });
    }
  }

  #path(fileHash: string): string {
    if (!/^[0-9a-f]{64}$/.test(fileHash)) throw new TypeError("not a SHA-256");
    return path.join(this.#folder, fileHash.slice(0, 2), fileHash);
  }

  /**
   * On the disk of the staged files it is one name more for the same bytes: nothing is copied. Nobody writes into a file that is
   * complete, and its staged name goes soon.
   */
  async put(fileHash: string, sizeBytes: number, file: string, signal?: AbortSignal): Promise<void> {
    const target = this.#path(fileHash);
    const temp = path.join(this.#temp, tempName());
    try {
      if (!(await linkChecked(file, temp, fileHash, sizeBytes, signal))) {
        await copyChecked(file, temp, fileHash, sizeBytes, signal);
      }
      await chmod(temp, 0o400);
      await placeFile(target, () => rename(temp, target));
      // Two names of one file are left as they are by a rename.
      await unlink(temp).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    } catch (error) {
      await rm(temp, { force: true });
      if (error instanceof StoreError || signal?.aborted) throw error;
      throw new StoreError("away", `${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }

  async verify(
    fileHash: string,
    sizeBytes: number,
    signal?: AbortSignal,
  ): Promise<"good" | "missing" | "wrong"> {
    try {
      const found = await hashOf(await this.read(fileHash, undefined, signal));
      return found.fileHash === fileHash && found.sizeBytes === sizeBytes ? "good" : "wrong";
    } catch (error) {
      if (error instanceof StoreError && error.reason === "missing") return "missing";
      throw error;
    }
  }

  async sizeOf(fileHash: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(fileHash))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new StoreError("away", `${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }

  async read(fileHash: string, range?: ByteRange, signal?: AbortSignal): Promise<Readable> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      // Opened here, so that a missing one is an error of this call and not of the stream.
      handle = await open(this.#path(fileHash), "r");
    } catch (error) {
      if (isMissing(error)) throw new StoreError("missing", `${this.name} has no ${fileHash}`);
      throw new StoreError("away", `${this.name}: ${(error as Error).message}`, { cause: error });
    }
    return handle.createReadStream({
      ...range,
      highWaterMark: chunkBytes,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async delete(fileHash: string): Promise<void> {
    try {
      await unlink(this.#path(fileHash));
    } catch (error) {
      if (!isMissing(error))
        throw new StoreError("away", `${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }

  async *list(): AsyncIterable<string> {
    for (const prefix of (await readdir(this.#folder)).sort()) {
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
      for (const name of (await readdir(path.join(this.#folder, prefix))).sort()) {
        if (/^[0-9a-f]{64}$/.test(name)) yield name;
      }
    }
  }

  async close(): Promise<void> {}
}
