import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { cleanStaging } from "../../src/transfer/clean.js";
import { GarbageCollector } from "../../src/transfer/garbage.js";
import { scrub } from "../../src/transfer/scrub.js";
import { deferred } from "../common/deferred.js";
import { sha256 } from "./support/memory-store.js";
import { world } from "./support/world.js";

const always = new AbortController().signal;

test("cleaning the database: trash over its time, and what the last owner gave up leaves the store", async () => {
  const here = await world();
  const old = await here.upload(randomBytes(10), "old.bin");
  const kept = await here.upload(randomBytes(10), "kept.bin");
  const { transfer, events } = here.started({ settings: { trashTtlMs: 1 } });
  await events.times(2, "removed");
  await here.database.run("entry.trash", { userId: here.userId, id: old.entry.id });
  const trashedAtMs = Date.now();
  await expect.poll(() => Date.now()).toBeGreaterThan(trashedAtMs + 1);
  expect(await transfer.runNow("clean")).toBe(true);
  expect(transfer.schedule.lastRuns.get("clean")).toMatchObject({ outcome: "done", result: { trashed: 1 } });
  transfer.worker.wake();
  await events.find("deleted", old.fileHash);
  await events.times(2, "done", old.fileHash);
  expect([...here.store.objects.keys()]).toEqual([kept.fileHash]);
});

test("staged copies: one that a row needs stays, a young one stays, an orphan goes", async () => {
  const here = await world();
  const { context } = here.transfer();
  const needed = await here.upload();
  const orphan = await here.stage(randomBytes(10));
  expect(await cleanStaging(context, always)).toMatchObject({ contents: 0 });
  expect(here.isStaged(orphan)).toBe(true);
  expect(await cleanStaging(context, always, 0)).toMatchObject({ contents: 1 });
  expect(here.isStaged(orphan)).toBe(false);
  expect(here.isStaged(needed.fileHash)).toBe(true);
});

test("temporary files: those of open uploads and young ones stay", async () => {
  const here = await world();
  const { context } = here.transfer();
  const { partsFolder, wholeFolder } = here.staging;
  await mkdir(partsFolder, { recursive: true });
  await mkdir(wholeFolder, { recursive: true });
  const open = randomBytes(16).toString("hex");
  const unknown = randomBytes(16).toString("hex");
  await here.database.run("upload.create", {
    id: open,
    userId: here.userId,
    fileHash: "0".repeat(64),
    sizeBytes: 10,
    name: "a",
    parentId: 0,
    partBytes: 10,
    partCount: 1,
    node: here.node,
  });
  const files = [path.join(partsFolder, open), path.join(partsFolder, unknown), path.join(wholeFolder, "x")];
  for (const file of files) await writeFile(file, "x");
  expect(await cleanStaging(context, always)).toMatchObject({ parts: 0, whole: 0 });
  expect(await cleanStaging(context, always, 0)).toMatchObject({ parts: 1, whole: 1 });
  expect(files.map((file) => existsSync(file))).toEqual([true, false, false]);
});

test("a copy that a killed process left on its way out is put back when its content needs it", async () => {
  const here = await world();
  const { context, transfer, events } = here.transfer();
  const { fileHash, bytes } = await here.upload();
  await mkdir(context.staged.removingFolder, { recursive: true });
  const leaving = path.join(context.staged.removingFolder, `${fileHash}.0123456789abcdef`);
  await rename(here.staging.content(fileHash), leaving);
  expect(await cleanStaging(context, always, 0)).toMatchObject({ removing: 1 });
  expect(here.isStaged(fileHash)).toBe(true);
  // The worker finds it by itself, too.
  await rename(here.staging.content(fileHash), leaving);
  transfer.worker.start();
  await events.find("removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect(here.isStaged(fileHash)).toBe(false);
});

test("removing takes the very file that was meant, not one put in its place", async () => {
  const here = await world();
  const { context } = here.transfer();
  const bytes = randomBytes(10);
  const fileHash = await here.stage(bytes);
  const first = await context.staged.open(fileHash);
  if (first === undefined) throw new Error("it is not staged");
  await here.stage(bytes);
  expect(await context.staged.remove(first)).toBe(false);
  expect(here.isStaged(fileHash)).toBe(true);
  await first.close();
  const second = await context.staged.open(fileHash);
  if (second === undefined) throw new Error("it is not staged");
  await context.staged.renew(fileHash);
  expect(await context.staged.remove(second)).toBe(false);
  await second.close();
  const third = await context.staged.open(fileHash);
  if (third === undefined) throw new Error("it is not staged");
  expect(await context.staged.remove(third)).toBe(true);
  expect(here.isStaged(fileHash)).toBe(false);
  await third.close();
});

test("garbage: only what no row knows, and only at the second look after the grace period", async () => {
  const here = await world();
  const { context, events, transfer } = here.started();
  const known = await here.upload();
  transfer.worker.wake();
  await events.find("removed", known.fileHash);
  const garbage = randomBytes(10);
  here.store.objects.set(sha256(garbage), garbage);
  let nowMs = 0;
  const collector = new GarbageCollector(context, { graceMs: 1000, now: () => nowMs });
  expect(await collector.run(always)).toEqual({ objects: 2, unknown: 1, deleted: 0 });
  nowMs = 999;
  expect(await collector.run(always)).toEqual({ objects: 2, unknown: 1, deleted: 0 });
  nowMs = 1000;
  expect(await collector.run(always)).toEqual({ objects: 2, unknown: 0, deleted: 1 });
  expect([...here.store.objects.keys()]).toEqual([known.fileHash]);
});

test("garbage that got a row meanwhile is none; its time starts afresh when it loses it", async () => {
  const here = await world();
  const { context } = here.transfer();
  const bytes = randomBytes(10);
  here.store.objects.set(sha256(bytes), bytes);
  let nowMs = 0;
  const collector = new GarbageCollector(context, { graceMs: 1000, now: () => nowMs });
  await collector.run(always);
  await here.upload(bytes);
  nowMs = 2000;
  expect(await collector.run(always)).toEqual({ objects: 1, unknown: 0, deleted: 0 });
  expect(here.store.objects.size).toBe(1);
});

test("scrub: a bad object with a good staged copy is put again", async () => {
  const here = await world();
  const { transfer, events, context } = here.started();
  const { fileHash, bytes } = await here.upload();
  transfer.worker.wake();
  await events.find("removed", fileHash);
  here.store.objects.set(fileHash, Buffer.alloc(bytes.length));
  await here.stage(bytes);
  expect(await scrub(context, always, 0)).toEqual({ checked: 1, repaired: 1, lost: 0 });
  transfer.worker.wake();
  await events.times(2, "removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect(await scrub(context, always, 0)).toEqual({ checked: 1, repaired: 0, lost: 0 });
});

test.each(["missing", "wrong"] as const)(
  "scrub: an object that is %s without a copy is told",
  async (how) => {
    const here = await world();
    const { transfer, events } = here.started();
    const { fileHash, bytes } = await here.upload();
    transfer.worker.wake();
    await events.find("removed", fileHash);
    if (how === "missing") here.store.objects.delete(fileHash);
    else here.store.objects.set(fileHash, Buffer.alloc(bytes.length));
    // A copy that is corrupt itself is no help.
    await here.stage(bytes);
    await writeFile(here.staging.content(fileHash), "something else");
    expect(await transfer.runNow("scrub")).toBe(true);
    const [line] = events.all.filter(({ level }) => level === "error");
    expect(line?.text).toContain("data loss");
    expect(line?.fields).toMatchObject({ fileHash, object: how, owners: 1, store: "memory:" });
    expect(transfer.schedule.lastRuns.get("scrub")?.result).toEqual({ checked: 1, repaired: 0, lost: 1 });
  },
);

test("scrub: a store that is away ends the run as failed, without crying loss", async () => {
  const here = await world();
  const { transfer, events } = here.started();
  const { fileHash } = await here.upload();
  transfer.worker.wake();
  await events.find("removed", fileHash);
  here.store.away = true;
  await expect(transfer.runNow("scrub")).rejects.toThrow("away");
  expect(events.all.filter(({ level }) => level === "error").map(({ text }) => text)).toEqual([
    "task failed",
  ]);
});

test("scrub: a stop in the middle ends it", async () => {
  const here = await world();
  const { transfer, events } = here.started();
  for (let i = 0; i < 3; i++) await here.upload(randomBytes(10), `${i}`);
  transfer.worker.wake();
  await events.times(3, "removed");
  const begun = deferred();
  here.store.before = async (operation, _hash, signal) => {
    if (operation !== "verify") return;
    begun.resolve();
    await new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  };
  const running = transfer.runNow("scrub");
  running.catch(() => {});
  await begun.promise;
  await transfer.stop();
  await expect(running).rejects.toThrow("stopping");
  expect(transfer.schedule.lastRuns.get("scrub")?.outcome).toBe("stopped");
});

test("a leftover staged copy whose object is gone is not deleted but put again", async () => {
  const here = await world();
  const { transfer, events, context } = here.started();
  const { fileHash, bytes } = await here.upload();
  transfer.worker.wake();
  await events.find("removed", fileHash);
  await here.stage(bytes);
  here.store.objects.delete(fileHash);
  expect(await cleanStaging(context, always, 0)).toMatchObject({ contents: 0 });
  transfer.worker.wake();
  await events.times(2, "removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
});

test("recount runs and says what was wrong", async () => {
  const here = await world();
  const { transfer } = here.transfer();
  await here.upload();
  expect(await transfer.runNow("recount")).toBe(true);
  expect(transfer.schedule.lastRuns.get("recount")?.result).toEqual({ contents: 0, users: 0 });
});
