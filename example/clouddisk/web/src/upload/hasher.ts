export type HasherRequest =
  | { id: number; file: Blob; ranges?: undefined }
  | { id: number; file: Blob; ranges: ReadonlyArray<{ offset: number; length: number }>; nonce: string }
  | { id: number; abort: true };
export type HasherReply =
  | { id: number; bytes: number }
  | { id: number; digest: string }
  | { id: number; error: string };

/** The file is gone, or nobody may read it. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

interface Job {
  onProgress: (bytes: number) => void;
  resolve: (digest: string) => void;
  reject: (error: unknown) => void;
}

type JobRequest =
  | { file: Blob; ranges?: undefined }
  | { file: Blob; ranges: ReadonlyArray<{ offset: number; length: number }>; nonce: string };

/** SHA-256 in a worker, as 64 hex digits; several at a time. */
export class Hasher {
  readonly #worker = new Worker(new URL("./hasher.worker.ts", import.meta.url), { type: "module" });
  readonly #jobs = new Map<number, Job>();
  #lastId = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<HasherReply>) => {
      const job = this.#jobs.get(data.id);
      if (job === undefined) return;
      if ("bytes" in data) return job.onProgress(data.bytes);
      this.#jobs.delete(data.id);
      if ("digest" in data) job.resolve(data.digest);
      else job.reject(new UnreadableFile(data.error));
    });
    this.#worker.addEventListener("error", (event) => {
      for (const job of this.#jobs.values()) job.reject(new Error(`hashing: ${event.message}`));
      this.#jobs.clear();
    });
  }

  hash(file: Blob, signal: AbortSignal, onProgress: (bytes: number) => void = () => {}): Promise<string> {
    return this.#ask({ file }, signal, onProgress);
  }

  /** Shows that the file is here: of the nonce, then the ranges' bytes. */
  prove(
    file: Blob,
    challenge: { nonce: string; ranges: ReadonlyArray<{ offset: number; length: number }> },
    signal: AbortSignal,
  ): Promise<string> {
    const { nonce, ranges } = challenge;
    return this.#ask({ file, nonce, ranges }, signal, () => {});
  }

  #ask(request: JobRequest, signal: AbortSignal, onProgress: (bytes: number) => void): Promise<string> {
    const id = ++this.#lastId;
    return new Promise<string>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#jobs.delete(id);
        this.#post({ id, abort: true });
        reject(signal.reason);
      };
      const end = (): void => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort);
      this.#jobs.set(id, {
        onProgress,
        resolve: (digest) => {
          end();
          resolve(digest);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      this.#post({ id, ...request });
    });
  }

  #post(request: HasherRequest): void {
    this.#worker.postMessage(request);
  }
}
