import { createReadStream } from "node:fs";
import http from "node:http";
import https from "node:https";
import { addAbortSignal, pipeline, type Readable } from "node:stream";
import { Client } from "minio";
import { HashingStream, hashOf } from "../common/hashing.js";
import type { Settings } from "../common/settings.js";
import { type ByteRange, type ObjectStore, StoreError } from "./store.js";

const idleTimeoutMsDefault = 15_000;
/** What is sent in one request, and held in memory meanwhile. 10,000 of them are the largest object; it grows beyond. */
const partBytes = 8 * 1024 * 1024;

/** `request` of node:http or node:https, for requests that fail with Error when the store is silent for too long. */
function impatient(request: typeof http.request, idleTimeoutMs: number): Pick<typeof http, "request"> {
  return {
    request: ((options: https.RequestOptions, onResponse?: (response: http.IncomingMessage) => void) => {
      let response: http.IncomingMessage | undefined;
      const asked = request(options, (answer) => {
        response = answer;
        onResponse?.(answer);
      });
      const onTimeout = (): void => {
        // Nobody took what has come: the silence is the reader's, who may take the time he likes.
        if (response !== undefined && response.readableLength > 0) asked.setTimeout(idleTimeoutMs);
        else (response ?? asked).destroy(new Error(`no byte for ${idleTimeoutMs} ms`));
      };
      return asked.setTimeout(idleTimeoutMs).on("timeout", onTimeout);
    }) as typeof http.request,
  };
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? "");
}

const missing = ["NoSuchKey", "NotFound", "NoSuchObject"];

/** Objects in one bucket of an S3-compatible store, named by their hashes. The bucket is made when it is missing. */
export class S3Store implements ObjectStore {
  readonly name: string;
  readonly #client: Client;
  readonly #bucket: string;
  readonly #region: string;
  readonly #agent: http.Agent;
  #ready: Promise<void> | undefined;

  /** `idleTimeoutMs`: a request that hears nothing for this long fails. Default: 15,000. */
  constructor(
    { url, bucket, region, accessKey, secretKey }: Settings["store"],
    idleTimeoutMs = idleTimeoutMsDefault,
  ) {
    const { hostname, port, protocol } = new URL(url);
    const secure = protocol === "https:";
    this.name = `${url}/${bucket}`;
    this.#bucket = bucket;
    this.#region = region;
    this.#agent = secure ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
    this.#client = new Client({
      endPoint: hostname.replace(/^\[|\]$/g, ""),
      ...(port === "" ? {} : { port: Number(port) }),
      useSSL: secure,
      accessKey,
      secretKey,
      region,
      pathStyle: true,
      partSize: partBytes,
      transport: impatient(secure ? https.request : http.request, idleTimeoutMs),
      transportAgent: this.#agent,
      // Retries are the caller's, who knows how long it may take.
      retryOptions: { disableRetry: true },
    });
  }

  async #bucketReady(): Promise<void> {
    this.#ready ??= this.#makeBucket().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    await this.#ready;
  }

  async #makeBucket(): Promise<void> {
    try {
      if (await this.#client.bucketExists(this.#bucket)) return;
      await this.#client.makeBucket(this.#bucket, this.#region);
    } catch (error) {
      if (!["BucketAlreadyOwnedByYou", "BucketAlreadyExists"].includes(codeOf(error))) throw error;
    }
  }

  /** Runs a request; whatever fails becomes a StoreError. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.#bucketReady();
      return await work();
    } catch (error) {
      if (error instanceof StoreError) throw error;
      const reason = missing.includes(codeOf(error)) ? "missing" : "away";
      const text = error instanceof Error && error.message !== "" ? error.message : codeOf(error);
      throw new StoreError(reason, `${this.name}: ${text}`, { cause: error });
    }
  }

  async put(fileHash: string, sizeBytes: number, file: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const hashing = new HashingStream();
    // The client does not look at errors of what it is to send.
    const broken = new Promise<never>((_resolve, reject) => {
      const source = createReadStream(file, { highWaterMark: 512 * 1024, ...(signal && { signal }) });
      pipeline(source, hashing, (error) => error && reject(error));
    });
    broken.catch(() => {});
    try {
      const sent = () => this.#client.putObject(this.#bucket, fileHash, hashing, sizeBytes);
      await this.#ask(() => Promise.race([sent(), broken]));
    } finally {
      hashing.destroy();
    }
    if (hashing.sizeBytes === sizeBytes && hashing.digest() === fileHash) return;
    await this.delete(fileHash);
    throw new StoreError("wrong", `${file} is not ${fileHash} of ${sizeBytes} bytes`);
  }

  async verify(
    fileHash: string,
    sizeBytes: number,
    signal?: AbortSignal,
  ): Promise<"good" | "missing" | "wrong"> {
    try {
      const stream = await this.read(fileHash, undefined, signal);
      const found = await this.#ask(() => hashOf(stream));
      return found.fileHash === fileHash && found.sizeBytes === sizeBytes ? "good" : "wrong";
    } catch (error) {
      if (error instanceof StoreError && error.reason === "missing") return "missing";
      throw error;
    }
  }

  async sizeOf(fileHash: string): Promise<number | undefined> {
    try {
      const { size } = await this.#ask(() => this.#client.statObject(this.#bucket, fileHash));
      return size;
    } catch (error) {
      if (error instanceof StoreError && error.reason === "missing") return undefined;
      throw error;
    }
  }

  async read(fileHash: string, range?: ByteRange, signal?: AbortSignal): Promise<Readable> {
    const stream = await this.#ask(() =>
      range === undefined
        ? this.#client.getObject(this.#bucket, fileHash)
        : this.#client.getPartialObject(this.#bucket, fileHash, range.start, range.end - range.start + 1),
    );
    return signal === undefined ? stream : addAbortSignal(signal, stream);
  }

  async delete(fileHash: string): Promise<void> {
    await this.#ask(() => this.#client.removeObject(this.#bucket, fileHash));
    // Parts of a put that was given up: the next put would have gone on with them.
    const uploadId = await this.#ask(() => this.#client.findUploadId(this.#bucket, fileHash));
    if (uploadId !== undefined) {
      await this.#ask(() => this.#client.abortMultipartUpload(this.#bucket, fileHash, uploadId));
    }
  }

  async *list(): AsyncIterable<string> {
    await this.#ask(async () => undefined);
    for await (const { name } of this.#client.listObjectsV2(this.#bucket, "", true) as AsyncIterable<{
      name?: string;
    }>) {
      if (name !== undefined && /^[0-9a-f]{64}$/.test(name)) yield name;
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }
}
