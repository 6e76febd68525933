import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { TransferServiceStub } from "../../src/transfer/gen/transfer.js";
import { startDisk } from "../support/disk.js";

test("the store away for a while: files come and are served meanwhile, and reach it afterwards", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-store-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = path.join(folder, "store");
  const disk = await startDisk({
    conf: { "store.url": `local:${store}`, "transfer.retrymin": "20ms", "transfer.retrymax": "100ms" },
  });
  const user = await disk.user();
  // A file where the folder was: everything in it fails, for root too.
  await rename(store, `${store}.gone`);
  await writeFile(store, "");

  const bytes = randomBytes(200_000);
  const fileHash = createHash("sha256").update(bytes).digest("hex");
  const form = new FormData();
  form.set("file", new Blob([new Uint8Array(bytes)]), "a.bin");
  const reply = await fetch(`${disk.url}/file/upload`, { method: "POST", headers: user.headers, body: form });
  expect(await reply.json()).toMatchObject({ code: 0 });

  const transfer = new TransferServiceStub(disk.node.host.channel);
  const status = () => transfer.status({ fileHash });
  await vi.waitFor(async () => expect((await status()).attempts).toBeGreaterThanOrEqual(2), {
    timeout: 20_000,
  });
  const away = await status();
  expect(away.state).not.toBe("failed");
  expect(away.lastError).not.toBe("");
  const download = async (): Promise<Buffer> => {
    const url = `${disk.url}/file/download?filehash=${fileHash}`;
    const response = await fetch(url, { headers: user.headers });
    expect(response.status).toBe(200);
    return Buffer.from(await response.arrayBuffer());
  };
  expect((await download()).equals(bytes)).toBe(true);

  await rm(store);
  await rename(`${store}.gone`, store);
  await vi.waitFor(async () => expect((await status()).state).toBe("stored"), { timeout: 20_000 });
  expect((await download()).equals(bytes)).toBe(true);
});
