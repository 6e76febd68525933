import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hashOf } from "../../src/common/hashing.js";
import { S3Store } from "../../src/store/s3-store.js";
import { SwiftServer } from "../support/swift.js";

let swift: SwiftServer;
let folder: string;
let source: string;
let fileHash: string;
/** Larger than one request of the client, so that it is sent in parts. */
const sizeBytes = 20 * 1024 * 1024;

beforeAll(async () => {
  swift = await SwiftServer.start();
  folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-s3-"));
  source = path.join(folder, "source");
  const data = randomBytes(sizeBytes);
  await writeFile(source, data);
  fileHash = createHash("sha256").update(data).digest("hex");
});
afterAll(async () => {
  await swift.close();
  await rm(folder, { recursive: true });
});

/** A store that ends with the work. */
async function using(store: S3Store, work: (store: S3Store) => Promise<void>): Promise<void> {
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

it("keeps an object of several parts over a restart of the server, and refuses it under another hash", async () => {
  await using(new S3Store(swift.settings("large")), async (store) => {
    await store.put(fileHash, sizeBytes, source);
    expect(await store.verify(fileHash, sizeBytes)).toBe("good");
    await swift.end("SIGKILL");
    await expect(store.sizeOf(fileHash)).rejects.toMatchObject({ name: "StoreError", reason: "away" });
    await swift.restart();
    expect(await store.verify(fileHash, sizeBytes)).toBe("good");
    const other = "0".repeat(64);
    await expect(store.put(other, sizeBytes, source)).rejects.toMatchObject({ reason: "wrong" });
    expect(await store.sizeOf(other)).toBeUndefined();
  });
});

it("is refused with a wrong secret, and says what the server said", async () => {
  const settings = { ...swift.settings("large"), secretKey: "wrong-secret" };
  await using(new S3Store(settings), async (store) => {
    const refused = { reason: "away", message: expect.stringContaining("large") };
    await expect(store.sizeOf(fileHash)).rejects.toMatchObject(refused);
    await expect(store.put(fileHash, sizeBytes, source)).rejects.toMatchObject(refused);
    await expect(store.read(fileHash)).rejects.toMatchObject(refused);
  });
});

it("gives a silent server up, and waits for a slow reader", async () => {
  // More than a busy machine lets a server wait for its turn.
  const idleTimeoutMs = 1500;
  await using(new S3Store(swift.settings("large"), idleTimeoutMs), async (store) => {
    // Nothing is taken from it for twice the limit; then all of it.
    const slow = await store.read(fileHash);
    slow.pause();
    await once(slow, "readable");
    await new Promise((resolve) => setTimeout(resolve, 2 * idleTimeoutMs));
    expect((await hashOf(slow)).fileHash).toBe(fileHash);

    const cut = await store.read(fileHash);
    swift.suspend();
    try {
      await expect(hashOf(cut)).rejects.toThrow("no byte for 1500 ms");
      await expect(store.sizeOf(fileHash)).rejects.toMatchObject({
        reason: "away",
        message: expect.stringContaining("no byte for 1500 ms"),
      });
      await expect(store.put(fileHash, sizeBytes, source)).rejects.toMatchObject({ reason: "away" });
    } finally {
      swift.resume();
    }
    expect(await store.sizeOf(fileHash)).toBe(sizeBytes);
  });
});

it("ends a transfer with its signal", async () => {
  await using(new S3Store(swift.settings("large")), async (store) => {
    const stop = new AbortController();
    const reading = await store.read(fileHash, undefined, stop.signal);
    stop.abort();
    await expect(hashOf(reading)).rejects.toThrow("aborted");
    await expect(store.put(fileHash, sizeBytes, source, AbortSignal.abort())).rejects.toThrow("aborted");
    const midway = store.put("1".repeat(64), sizeBytes, source, AbortSignal.timeout(100));
    await expect(midway).rejects.toMatchObject({ reason: "away" });
    await expect(store.put(fileHash, 1, path.join(folder, "none"))).rejects.toThrow("ENOENT");
  });
});
