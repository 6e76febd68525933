import { createHash } from "node:crypto";
import { type Readable, Transform, type TransformOptions } from "node:stream";

/** What a stream that carries more fails with. */
export interface SizeLimit {
  sizeMaxBytes: number;
  error: Error;
}

/** Passes bytes through, counting and hashing them. */
export class HashingStream extends Transform {
  readonly #hash = createHash("sha256");
  readonly #limit: SizeLimit | undefined;
  sizeBytes = 0;

  constructor({ limit, ...options }: TransformOptions & { limit?: SizeLimit } = {}) {
    super(options);
    this.#limit = limit;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.sizeBytes += chunk.length;
    if (this.#limit !== undefined && this.sizeBytes > this.#limit.sizeMaxBytes) {
      done(this.#limit.error);
      return;
    }
    this.#hash.update(chunk);
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
