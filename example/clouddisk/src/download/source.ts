import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { Code, Refusal } from "../common/codes.js";
import { OnNode } from "../common/nodes.js";
import type { Host } from "../common/part.js";
import { Staging } from "../common/staging.js";
import type { ContentRow } from "../dbproxy/actions.js";
import { type ByteRange, type ObjectStore, StoreError } from "../store/store.js";

const chunkBytes = 512 * 1024;

/** A content that is there but cannot be had right now; HTTP says 503 and when to ask again. */
export class NotNow extends Error {
  override readonly name = "NotNow";
}

/** Bytes of contents, from wherever they are: staged on this node, or in the store. */
export class ContentSource {
  readonly #host: Host;
  readonly #store: ObjectStore;
  readonly #staging: Staging;

  constructor(host: Host, store: ObjectStore) {
    this.#host = host;
    this.#store = store;
    this.#staging = new Staging(host.settings.dataFolder);
  }

  /** Throws Refusal (10007) for a content nobody holds. */
  async find(fileHash: string): Promise<ContentRow> {
    const { content } = await this.#host.database.run("content.get", { fileHash });
    if (content === null || content.state === "deleting")
      throw new Refusal(Code.NOT_FOUND, "there is no such content");
    return content;
  }

  /** Both ends of `range` included. Rejects with OnNode when another node has it staged, NotNow when the store is away. */
  async read(content: ContentRow, range: ByteRange | undefined): Promise<Readable> {
    if (content.state === "local") {
      const handle = await this.#openStaged(content);
      if (handle !== undefined) return handle.createReadStream({ ...range, highWaterMark: chunkBytes });
      if (content.node !== this.#host.settings.node) throw new OnNode(content.node, "download", "the file");
    }
    try {
      return await this.#store.read(content.fileHash, range);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Stored and gone from the staging folder since the row was read, or the other way round: look once more.
      const handle = error.reason === "missing" ? await this.#openStaged(content) : undefined;
      if (handle !== undefined) return handle.createReadStream({ ...range, highWaterMark: chunkBytes });
      throw new NotNow("the store does not give the file right now; try again in a moment", { cause: error });
    }
  }

  /** Undefined: there is none, or it is not whole. */
  async #openStaged({ fileHash, sizeBytes }: ContentRow): Promise<FileHandle | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(this.#staging.content(fileHash), "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const { size } = await handle.stat();
    if (size === sizeBytes) return handle;
    await handle.close();
    return undefined;
  }
}
