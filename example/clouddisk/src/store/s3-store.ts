import { createReadStream } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { addAbortSignal, type Readable } from "node:stream";
import { Client } from "minio";
import { HashingStream, hashOf } from "../common/hashing.js";
import type { Settings } from "../common/settings.js";
import { type ByteRange, type ObjectStore, StoreError } from "./store.js";

/** A connection that is silent for this long is given up. */
const idleTimeoutMs = 15_000;

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
  readonly #agent: HttpAgent;
  #ready: Promise<void> | undefined;

  constructor({ url, bucket, region, accessKey, secretKey }: Settings["store"]) {
    const { hostname, port, protocol } = new URL(url);
    const secure = protocol === "https:";
    this.name = `${url}/${bucket}`;
    this.#bucket = bucket;
    this.#region = region;
    const options = { keepAlive: true, timeout: idleTimeoutMs };
    this.#agent = secure ? new HttpsAgent(options) : new HttpAgent(options);
    this.#client = new Client({
      endPoint: hostname.replace(/^\[|\]$/g, ""),
      ...(port === "" ? {} : { port: Number(port) }),
      useSSL: secure,
      accessKey,
      secretKey,
      region,
      pathStyle: true,
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
    const hashing = new HashingStream();
    const source = createReadStream(file, { highWaterMark: 512 * 1024 });
    source.on("error", (error) => hashing.destroy(error));
    hashing.on("close", () => source.destroy());
    const body = source.pipe(hashing);
    if (signal !== undefined) addAbortSignal(signal, body);
    await this.#ask(() => this.#client.putObject(this.#bucket, fileHash, body, sizeBytes));
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
