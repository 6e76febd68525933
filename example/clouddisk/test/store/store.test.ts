import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Settings } from "../../src/common/settings.js";
import { openStore } from "../../src/store/index.js";
import type { ObjectStore } from "../../src/store/store.js";
import { stores } from "./stores.js";

async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

async function allOf(store: ObjectStore): Promise<string[]> {
  const hashes: string[] = [];
  for await (const hash of store.list()) hashes.push(hash);
  return hashes;
}

describe.each(stores)("$name", ({ open }) => {
  let folder: string;
  let store: ObjectStore;
  let close: () => Promise<void>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-store-"));
    const opened = await open(folder);
    store = await openStore({ store: opened.settings, dataFolder: folder });
    close = opened.close;
  });
  afterAll(async () => {
    await store.close();
    await close();
    await rm(folder, { recursive: true });
  });

  async function file(data: Buffer): Promise<string> {
    const name = path.join(folder, randomBytes(8).toString("hex"));
    await writeFile(name, data);
    return name;
  }

  it.each([0, 1, 100_000, 5_000_000])("keeps %i bytes, whole and in ranges", async (sizeBytes) => {
    const data = randomBytes(sizeBytes);
    const hash = sha256(data);
    expect(await store.sizeOf(hash)).toBeUndefined();
    const source = await file(data);
    await store.put(hash, sizeBytes, source);
    await store.put(hash, sizeBytes, source);
    expect(await store.sizeOf(hash)).toBe(sizeBytes);
    expect(await store.verify(hash, sizeBytes)).toBe("good");
    expect(await store.verify(hash, sizeBytes + 1)).toBe("wrong");
    expect((await bytesOf(await store.read(hash))).equals(data)).toBe(true);
    if (sizeBytes > 1) {
      const part = await bytesOf(await store.read(hash, { start: 1, end: sizeBytes - 2 }));
      expect(part.equals(data.subarray(1, -1))).toBe(true);
    }
    expect(await allOf(store)).toContain(hash);
    await store.delete(hash);
    await store.delete(hash);
    expect(await allOf(store)).not.toContain(hash);
    expect(await store.verify(hash, sizeBytes)).toBe("missing");
  });

  it("keeps nothing that has another hash or size", async () => {
    const data = randomBytes(1000);
    const hash = sha256(randomBytes(3));
    await expect(store.put(hash, 1000, await file(data))).rejects.toMatchObject({ reason: "wrong" });
    expect(await store.sizeOf(hash)).toBeUndefined();
  });

  it("says so when there is no such object", async () => {
    await expect(store.read(sha256(Buffer.from("none")))).rejects.toMatchObject({ reason: "missing" });
  });
});

describe("the folder", () => {
  const settings: Settings["store"] = { url: "local:", bucket: "", region: "", accessKey: "", secretKey: "" };

  it("notices bytes that rotted, and leaves no temp file of a failed put", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-store-"));
    try {
      const store = await openStore({ store: settings, dataFolder: folder });
      const data = randomBytes(4096);
      const hash = sha256(data);
      const source = path.join(folder, "source");
      await writeFile(source, data);
      await store.put(hash, 4096, source);
      await truncate(path.join(folder, "store", hash.slice(0, 2), hash), 4000);
      expect(await store.verify(hash, 4096)).toBe("wrong");
      const again = path.join(folder, "again");
      await writeFile(again, data);
      await store.put(hash, 4096, again);
      expect((await stat(path.join(folder, "store", hash.slice(0, 2), hash))).nlink).toBe(2);
      await rm(again);
      expect(await store.verify(hash, 4096)).toBe("good");
      await expect(store.put(sha256(Buffer.alloc(1)), 1, source)).rejects.toThrow("is not");
      expect(await readdir(path.join(folder, "store", "tmp"))).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("names the key that is wrong", async () => {
    const url = "ftp://x";
    await expect(openStore({ store: { ...settings, url }, dataFolder: "/x" })).rejects.toThrow("[store] url");
    const beneathFile = `local:${new URL(import.meta.url).pathname}/x`;
    await expect(openStore({ store: { ...settings, url: beneathFile }, dataFolder: "/x" })).rejects.toThrow(
      "[store] url",
    );
  });
});
