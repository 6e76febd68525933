import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { type ByteRange, type ObjectStore, StoreError } from "../../../src/store/store.js";

type Operation = "put" | "verify" | "sizeOf" | "read" | "delete" | "list";

/** A store in memory that fails as it is told. */
export class MemoryStore implements ObjectStore {
  readonly name = "memory:";
  readonly objects = new Map<string, Buffer>();
  /** Every operation begun, `put <hash>`. */
  readonly calls: string[] = [];
  /** Everything is refused. */
  away = false;
  /** How many of the next puts keep other bytes than they were given, and do not notice. */
  wrongPuts = 0;
  /** How many of the next puts break off midway. */
  brokenPuts = 0;
  /** Called before an operation has an effect; what it waits for, the operation waits for. */
  before: (operation: Operation, fileHash: string, signal?: AbortSignal) => Promise<void> | void = () => {};
  closed = false;

  async put(fileHash: string, sizeBytes: number, file: string, signal?: AbortSignal): Promise<void> {
    await this.#begin("put", fileHash, signal);
    const bytes = await readFile(file);
    if (this.brokenPuts > 0) {
      this.brokenPuts--;
      throw new StoreError("away", "the connection broke after half of it");
    }
    if (this.wrongPuts > 0) {
      this.wrongPuts--;
      this.objects.set(fileHash, Buffer.alloc(sizeBytes, "x"));
      return;
    }
    if (bytes.length !== sizeBytes || sha256(bytes) !== fileHash) {
      throw new StoreError("wrong", `${fileHash}: what arrived is something else`);
    }
    this.objects.set(fileHash, bytes);
  }

  async verify(
    fileHash: string,
    sizeBytes: number,
    signal?: AbortSignal,
  ): Promise<"good" | "missing" | "wrong"> {
    await this.#begin("verify", fileHash, signal);
    const bytes = this.objects.get(fileHash);
    if (bytes === undefined) return "missing";
    return bytes.length === sizeBytes && sha256(bytes) === fileHash ? "good" : "wrong";
  }

  async sizeOf(fileHash: string, signal?: AbortSignal): Promise<number | undefined> {
    await this.#begin("sizeOf", fileHash, signal);
    return this.objects.get(fileHash)?.length;
  }

  async read(fileHash: string, range?: ByteRange, signal?: AbortSignal): Promise<Readable> {
    await this.#begin("read", fileHash, signal);
    const bytes = this.objects.get(fileHash);
    if (bytes === undefined) throw new StoreError("missing", fileHash);
    return Readable.from(range === undefined ? bytes : bytes.subarray(range.start, range.end + 1));
  }

  async delete(fileHash: string, signal?: AbortSignal): Promise<void> {
    await this.#begin("delete", fileHash, signal);
    this.objects.delete(fileHash);
  }

  async *list(signal?: AbortSignal): AsyncIterable<string> {
    await this.#begin("list", "", signal);
    yield* [...this.objects.keys()];
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #begin(operation: Operation, fileHash: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(`${operation} ${fileHash}`.trim());
    await this.before(operation, fileHash, signal);
    signal?.throwIfAborted();
    if (this.away) throw new StoreError("away", "the store is away");
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
