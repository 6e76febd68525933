import { createHash, randomBytes } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import {
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import path from "node:path";
import type { Staging } from "../common/staging.js";

/** Runs file operations for which "not there" is an answer. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * One staged copy of a content, held open: while it is, its inode number is not given to another file, so that a copy an
 * upload puts in its place is known to be another one.
 */
export class StagedFile {
  readonly fileHash: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly changedAtMs: number;
  readonly #handle: FileHandle;
  readonly #stats: BigIntStats;

  constructor(fileHash: string, file: string, handle: FileHandle, stats: BigIntStats) {
    this.fileHash = fileHash;
    this.path = file;
    this.#handle = handle;
    this.#stats = stats;
    this.sizeBytes = Number(stats.size);
    this.changedAtMs = Number(stats.ctimeMs);
  }

  isAt(stats: BigIntStats | undefined): boolean {
    return stats !== undefined && stats.ino === this.#stats.ino && stats.dev === this.#stats.dev;
  }

  /** SHA-256 of what the disk gives. */
  async hash(signal?: AbortSignal): Promise<string> {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(1_048_576);
    for (let position = 0; ; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * The complete files of a node that wait for the store. Uploads rename their file onto the path of its hash, and then make
 * the content's row; so a path may get a new file, which a new row needs, at any moment. What is removed is therefore
 * always one certain file, never "what is at this path".
 *
 *     staging/removing/<hash>.<random>   on its way out; put back when it is not the one that was meant
 */
export class StagedFiles {
  readonly #staging: Staging;
  #canRemove = false;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  get removingFolder(): string {
    return path.join(this.#staging.folder, "removing");
  }

  /** Undefined: there is none. The caller closes it. */
  async open(fileHash: string): Promise<StagedFile | undefined> {
    const file = this.#staging.content(fileHash);
    const handle = await ifThere(open(file, constants.O_RDONLY));
    if (handle === undefined) return undefined;
    try {
      return new StagedFile(fileHash, file, handle, await handle.stat({ bigint: true }));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Deletes this very file. False: it is not there any more, perhaps another in its place, which stays. */
  async remove(file: StagedFile): Promise<boolean> {
    if (!file.isAt(await ifThere(stat(file.path, { bigint: true })))) return false;
    // Once: one that is gone afterwards leaves the file to the cleaner, as anything else that fails here.
    if (!this.#canRemove) await mkdir(this.removingFolder, { recursive: true });
    this.#canRemove = true;
    const leaving = path.join(this.removingFolder, `${file.fileHash}.${randomBytes(8).toString("hex")}`);
    // A rename takes exactly one file away, which can then be looked at; an unlink would take whatever is there.
    if ((await ifThere(rename(file.path, leaving).then(() => true))) === undefined) return false;
    const taken = await ifThere(stat(leaving, { bigint: true }));
    const meant = file.isAt(taken);
    if (!meant) await this.#putBack(leaving, file.path);
    await ifThere(unlink(leaving));
    return meant;
  }

  /** Finds a copy that a process killed within `remove` left on its way out. True: it is at its path again. */
  async recover(fileHash: string): Promise<boolean> {
    const names = (await ifThere(readdir(this.removingFolder))) ?? [];
    let found = false;
    for (const name of names.filter((one) => one.startsWith(`${fileHash}.`))) {
      found ||= await this.#putBack(path.join(this.removingFolder, name), this.#staging.content(fileHash));
    }
    return found;
  }

  /** Makes the copy a file of its own, so that a removal under way of the old one does not take it. */
  async renew(fileHash: string): Promise<void> {
    const file = this.#staging.content(fileHash);
    await mkdir(this.#staging.wholeFolder, { recursive: true });
    const copy = path.join(this.#staging.wholeFolder, `renew-${randomBytes(16).toString("hex")}`);
    try {
      await copyFile(file, copy, constants.COPYFILE_EXCL);
      const handle = await open(copy, "r+");
      await handle.sync().finally(() => handle.close());
      await rename(copy, file);
    } catch (error) {
      await ifThere(unlink(copy));
      throw error;
    }
  }

  async #putBack(from: string, to: string): Promise<boolean> {
    await mkdir(path.dirname(to), { recursive: true });
    try {
      return (await ifThere(link(from, to).then(() => true))) ?? false;
    } catch (error) {
      // A still newer one is there, with the same content.
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return true;
      throw error;
    }
  }

  /** Hashes of all staged contents. Other names are not ours to touch. */
  async *hashes(): AsyncIterable<string> {
    for (const folder of (await ifThere(readdir(this.#staging.contentFolder))) ?? []) {
      const names = await ifThere(readdir(path.join(this.#staging.contentFolder, folder))).catch(() => []);
      for (const name of names ?? []) if (/^[0-9a-f]{64}$/.test(name) && name.startsWith(folder)) yield name;
    }
  }

  /** Deletes files in `folder` unchanged since then for which `needed` is false. Gives how many. */
  async removeStale(
    folder: string,
    unchangedSinceMs: number,
    needed: (name: string) => Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<number> {
    let removed = 0;
    for (const name of (await ifThere(readdir(folder))) ?? []) {
      signal?.throwIfAborted();
      const file = path.join(folder, name);
      const stats = await ifThere(stat(file));
      if (stats === undefined || !stats.isFile()) continue;
      if (Math.floor(Math.max(stats.ctimeMs, stats.mtimeMs)) > unchangedSinceMs || (await needed(name)))
        continue;
      if ((await ifThere(unlink(file).then(() => true))) === true) removed++;
    }
    return removed;
  }

  get wholeFolder(): string {
    return this.#staging.wholeFolder;
  }

  get partsFolder(): string {
    return this.#staging.partsFolder;
  }
}
