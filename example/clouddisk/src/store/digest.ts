import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { Transform } from "node:stream";

/** Passes bytes through, counting and hashing them. */
export class HashingStream extends Transform {
  readonly #hash = createHash("sha256");
  sizeBytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#hash.update(chunk);
    this.sizeBytes += chunk.length;
    this.push(chunk);
    done();
  }

  /** Once, at the end. */
  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** SHA-256 as hex, and how much it was. */
export async function hashOf(stream: Readable): Promise<{ fileHash: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { fileHash: hash.digest("hex"), sizeBytes };
}
