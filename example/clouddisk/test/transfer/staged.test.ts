import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Staging } from "../../src/common/staging.js";
import { type StagedFile, StagedFiles } from "../../src/transfer/staged.js";
import { sha256 } from "./support/memory-store.js";

async function folder(): Promise<{ staging: Staging; staged: StagedFiles }> {
  const data = await mkdtemp(path.join(os.tmpdir(), "clouddisk-staged-"));
  onTestFinished(() => rm(data, { recursive: true, force: true }));
  const staging = new Staging(data);
  await mkdir(staging.wholeFolder, { recursive: true });
  return { staging, staged: new StagedFiles(staging) };
}

/** What an upload does. */
async function stage(staging: Staging, bytes: Buffer): Promise<void> {
  const file = staging.content(sha256(bytes));
  const whole = path.join(staging.wholeFolder, randomBytes(8).toString("hex"));
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(whole, bytes);
  await rename(whole, file);
}

async function opened(staged: StagedFiles, fileHash: string): Promise<StagedFile> {
  const file = await staged.open(fileHash);
  if (file === undefined) throw new Error("it is not staged");
  onTestFinished(() => file.close());
  return file;
}

test("uploads rename onto the path while the old copy is removed: the newest one is always there", async () => {
  const { staging, staged } = await folder();
  const bytes = randomBytes(100);
  const fileHash = sha256(bytes);
  for (let round = 0; round < 200; round++) {
    await stage(staging, bytes);
    const old = await staged.open(fileHash);
    if (old === undefined) throw new Error("it is not staged");
    await Promise.all([staged.remove(old), staged.remove(old), stage(staging, bytes)]);
    await old.close();
    expect(existsSync(staging.content(fileHash))).toBe(true);
  }
  expect(await readFile(staging.content(fileHash))).toEqual(bytes);
  expect(await readdir(staged.removingFolder)).toEqual([]);
  expect(await readdir(staging.wholeFolder)).toEqual([]);
});

test("removing what is gone already, or opening what never was, is no error", async () => {
  const { staging, staged } = await folder();
  const bytes = randomBytes(100);
  expect(await staged.open(sha256(bytes))).toBeUndefined();
  expect(await staged.recover(sha256(bytes))).toBe(false);
  await stage(staging, bytes);
  const file = await opened(staged, sha256(bytes));
  expect(await staged.remove(file)).toBe(true);
  expect(await staged.remove(file)).toBe(false);
});

test("a copy is hashed as it is on the disk, over several reads", async () => {
  const { staging, staged } = await folder();
  const bytes = randomBytes(2_500_000);
  await stage(staging, bytes);
  const file = await opened(staged, sha256(bytes));
  expect(await file.hash()).toBe(sha256(bytes));
  expect(file.sizeBytes).toBe(bytes.length);
  const aborted = AbortSignal.abort(new Error("enough"));
  await expect(file.hash(aborted)).rejects.toThrow("enough");
});

test("the contents listed are those with the name of a hash in their folder; a disk never used has none", async () => {
  const { staging, staged } = await folder();
  const list = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const fileHash of staged.hashes()) found.push(fileHash);
    return found;
  };
  expect(await list()).toEqual([]);
  const bytes = randomBytes(10);
  await stage(staging, bytes);
  await writeFile(path.join(staging.contentFolder, "notes.txt"), "x");
  await writeFile(path.join(path.dirname(staging.content(sha256(bytes))), "notes.txt"), "x");
  expect(await list()).toEqual([sha256(bytes)]);
});

test("renewing fails for a copy that is not there, and leaves nothing behind", async () => {
  const { staging, staged } = await folder();
  await expect(staged.renew("0".repeat(64))).rejects.toThrow("ENOENT");
  expect(await readdir(staging.wholeFolder)).toEqual([]);
});
