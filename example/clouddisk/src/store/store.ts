import type { Readable } from "node:stream";

/** Both ends included, as in HTTP. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Where contents stay: objects named by their SHA-256, never changed, written whole or not at all. */
export interface ObjectStore {
  /** For messages: `local:/data/store`, `http://127.0.0.1:8080/bucket`. Holds no secret. */
  readonly name: string;
  /**
   * Copies a file into the store and makes it durable. The same content twice is harmless. Rejects with a StoreError when
   * what arrived does not have this hash and size (nothing is kept then), or the store is away.
   */
  put(fileHash: string, sizeBytes: number, file: string, signal?: AbortSignal): Promise<void>;
  /** Reads it back and hashes it. `missing`, or `wrong` when size or hash differ. */
  verify(fileHash: string, sizeBytes: number, signal?: AbortSignal): Promise<"good" | "missing" | "wrong">;
  /** Size of an object, undefined when there is none. Cheap. */
  sizeOf(fileHash: string, signal?: AbortSignal): Promise<number | undefined>;
  /** Rejects with StoreError `missing`. Errors midway destroy the stream. */
  read(fileHash: string, range?: ByteRange, signal?: AbortSignal): Promise<Readable>;
  /** One that is not there is fine. */
  delete(fileHash: string, signal?: AbortSignal): Promise<void>;
  /** Hashes of all objects, for garbage collection. */
  list(signal?: AbortSignal): AsyncIterable<string>;
  close(): Promise<void>;
}

export class StoreError extends Error {
  override readonly name = "StoreError";
  /** `away`: worth another try. */
  readonly reason: "missing" | "wrong" | "away";

  constructor(reason: StoreError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
