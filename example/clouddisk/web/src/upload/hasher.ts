export type HasherRequest =
  | { id: number; file: Blob; ranges?: undefined }
  | { id: number; file: Blob; ranges: ReadonlyArray<{ offset: number; length: number }>; nonce: string }
  | { id: number; does: "pause" | "resume" | "abort" };
export type HasherReply =
  | { id: number; bytes: number }
  | { id: number; digest: string }
  | { id: number; error: string };

/** The file is gone, has changed since it was chosen, or nobody may read it. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

/** Throws UnreadableFile when it is not: a browser gives nothing more of a file that has changed since it was chosen. */
export async function readable(file: Blob): Promise<void> {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch (cause) {
    throw new UnreadableFile(String(cause), { cause });
  }
}

interface Job {
  onProgress: (bytes: number) => void;
  resolve: (digest: string) => void;
  reject: (error: unknown) => void;
}

/** SHA-256 in a worker, as 64 hex digits; several at a time. */
export class Hasher {
  readonly #worker = new Worker(new URL("./hasher.worker.ts", import.meta.url), { type: "module" });
  readonly #jobs = new Map<number, Job>();
  /** Files whose hash is half computed, by the id the worker has it under; some were done before the worker heard of the pause. */
  readonly #paused = new Map<Blob, { id: number; digest?: string }>();
  #lastId = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<HasherReply>) => {
      const job = this.#jobs.get(data.id);
      if (job === undefined) return this.#onLate(data);
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

  /** Of a whole file. One that was aborted goes on where it was when it is asked for again, unless it is forgotten. */
  hash(file: Blob, signal: AbortSignal, onProgress: (bytes: number) => void): Promise<string> {
    const paused = this.#paused.get(file);
    this.#paused.delete(file);
    if (paused?.digest !== undefined) return Promise.resolve(paused.digest);
    return this.#ask(paused === undefined ? { file } : { id: paused.id, does: "resume" }, signal, {
      onProgress,
      onAbort: (id) => {
        this.#paused.set(file, { id });
        this.#post({ id, does: "pause" });
      },
    });
  }

  /** Of something small, which begins anew when it is asked for again. */
  hashPart(part: Blob, signal: AbortSignal): Promise<string> {
    return this.#ask({ file: part }, signal);
  }

  /** It will not be asked for again. */
  forget(file: Blob): void {
    const paused = this.#paused.get(file);
    this.#paused.delete(file);
    if (paused !== undefined) this.#post({ id: paused.id, does: "abort" });
  }

  /** Shows that the file is here: of the nonce, then the ranges' bytes. */
  prove(
    file: Blob,
    challenge: { nonce: string; ranges: ReadonlyArray<{ offset: number; length: number }> },
    signal: AbortSignal,
  ): Promise<string> {
    const { nonce, ranges } = challenge;
    return this.#ask({ file, nonce, ranges }, signal);
  }

  #onLate(reply: HasherReply): void {
    for (const [file, paused] of this.#paused) {
      if (paused.id !== reply.id) continue;
      if ("digest" in reply) paused.digest = reply.digest;
      else if ("error" in reply) this.#paused.delete(file);
    }
  }

  #ask(
    request:
      | { file: Blob; ranges?: undefined }
      | { file: Blob; ranges: ReadonlyArray<{ offset: number; length: number }>; nonce: string }
      | { id: number; does: "resume" },
    signal: AbortSignal,
    does: { onProgress: (bytes: number) => void; onAbort: (id: number) => void } = {
      onProgress: () => {},
      onAbort: (id) => this.#post({ id, does: "abort" }),
    },
  ): Promise<string> {
    const whole: HasherRequest = "id" in request ? request : { id: ++this.#lastId, ...request };
    const { id } = whole;
    return new Promise<string>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#jobs.delete(id);
        does.onAbort(id);
        reject(signal.reason);
      };
      const end = (): void => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort);
      this.#jobs.set(id, {
        onProgress: does.onProgress,
        resolve: (digest) => {
          end();
          resolve(digest);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      this.#post(whole);
    });
  }

  #post(request: HasherRequest): void {
    this.#worker.postMessage(request);
  }
}
