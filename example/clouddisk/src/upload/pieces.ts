import { type FileHandle, mkdir, open } from "node:fs/promises";
import path from "node:path";
import { sharedBy } from "../common/shared-work.js";

/**
 * Bytes of one write: twice as many each time, from the one to the other. So a client that stops midway keeps no more memory than it
 * has sent.
 */
const pieceMinBytes = 65_536;
const pieceMaxBytes = 1_048_576;
/** The disk is given its work while more comes: at the end there is so little left to wait for. */
const syncEveryBytes = 33_554_432;

export interface PiecesOptions {
  open(): Promise<FileHandle>;
  /** Where the first byte goes; undefined: wherever the file ends. */
  start?: number;
  /** Called right before each write; what it throws is what the write fails with. */
  check?(): void;
  /** Several writers of one file have it synced together: the path; undefined: it has one writer. */
  shared?: string;
}

/** A file that is written in big pieces, one while the next one gathers; it is opened for the first. */
export class Pieces {
  readonly #options: PiecesOptions;
  #handle: FileHandle | undefined;
  #position: number | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #pieceBytes = pieceMinBytes;
  #writing: Promise<void> = Promise.resolve();
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;

  constructor(options: PiecesOptions) {
    this.#options = options;
    this.#position = options.start;
  }

  async add(chunk: Buffer): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= this.#pieceBytes) await this.#next();
  }

  /** The bytes are durable when this resolves; a new file's name is not. */
  async finish(): Promise<void> {
    await this.#next();
    await this.#writing;
    await this.#syncing;
    const handle = this.#handle;
    const { shared } = this.#options;
    // Whichever handle it is done by: what all of them wrote is the file's.
    await (shared === undefined ? handle?.datasync() : sharedBy(shared, async () => handle?.datasync()));
  }

  /** Nothing is written afterwards. */
  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#syncing?.catch(() => {});
    await this.#handle?.close();
  }

  /** Begins to write what has gathered, once what was before it is written. */
  async #next(): Promise<void> {
    await this.#writing;
    this.#handle ??= await this.#options.open();
    const pieces = this.#gathered;
    const sizeBytes = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#pieceBytes = Math.min(2 * this.#pieceBytes, pieceMaxBytes);
    this.#options.check?.();
    this.#writing = writeAll(this.#handle, pieces, sizeBytes, this.#position);
    if (this.#position !== undefined) this.#position += sizeBytes;
    // Who waits for it next is told; until then it is nobody's unhandled rejection.
    this.#writing.catch(() => {});
    this.#unsyncedBytes += sizeBytes;
    if (this.#unsyncedBytes >= syncEveryBytes) await this.#syncAhead(this.#handle);
  }

  /** Not faster than the disk: what it has not taken would fill the memory. */
  async #syncAhead(handle: FileHandle): Promise<void> {
    await this.#syncing;
    this.#unsyncedBytes = 0;
    this.#syncing = handle.datasync();
    this.#syncing.catch(() => {});
  }
}

/** For a file that is not there, in a folder that is made when it is missing. */
export async function openNew(file: string): Promise<FileHandle> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    return open(file, "wx", 0o600);
  }
}

/** A disk that is getting full takes less than it is given, and says so only the next time. */
async function writeAll(
  handle: FileHandle,
  pieces: readonly Buffer[],
  sizeBytes: number,
  start: number | undefined,
): Promise<void> {
  if (sizeBytes === 0) return;
  const { bytesWritten } = await handle.writev(pieces, start);
  if (bytesWritten === sizeBytes) return;
  const all = Buffer.concat(pieces);
  for (let done = bytesWritten; done < sizeBytes; ) {
    const at = start === undefined ? null : start + done;
    done += (await handle.write(all, done, sizeBytes - done, at)).bytesWritten;
  }
}
