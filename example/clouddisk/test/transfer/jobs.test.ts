import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { Step } from "../../src/transfer/context.js";
import { deferred } from "../common/deferred.js";
import { MemoryStore } from "./support/memory-store.js";
import { cuttable, world } from "./support/world.js";

/** The handlers look at no context. */
const noContext = {} as never;

test("a staged file goes into the store, is read back, and only then leaves the disk", async () => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  const order: string[] = [];
  const { events } = here.started({
    onStep: async (step) => {
      const content = await here.content(fileHash);
      order.push(`${step}: ${content?.state}, ${here.isStaged(fileHash) ? "staged" : "not staged"}`);
    },
  });
  await events.find("removed", fileHash);
  expect(order).toEqual([
    "claimed: local, staged",
    "opened: local, staged",
    "stored: local, staged",
    "done: stored, staged",
    "removed: stored, not staged",
  ]);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect(here.store.calls.at(-2)).toBe(`verify ${fileHash}`);
});

test("the last owner deletes it: the object and the row go", async () => {
  const here = await world();
  const staged = await here.upload();
  const { events, transfer } = here.started();
  await events.find("removed", staged.fileHash);
  await here.delete(staged);
  transfer.worker.wake();
  await events.find("deleted", staged.fileHash);
  await events.times(2, "done", staged.fileHash);
  expect(here.store.objects.size).toBe(0);
  expect(await here.content(staged.fileHash)).toBeNull();
});

test("a store that is away, breaks off, and keeps wrong bytes: tried again until it is good", async () => {
  const here = await world();
  here.store.away = true;
  here.store.brokenPuts = 1;
  here.store.wrongPuts = 2;
  const { fileHash, bytes } = await here.upload();
  const { events } = here.started();
  await events.times(5, "a job is tried again", fileHash);
  expect(here.isStaged(fileHash)).toBe(true);
  expect((await here.content(fileHash))?.state).toBe("local");
  const status = await here.database.run("outbox.status", { fileHash });
  expect(status.state).not.toBe("failed");
  expect(status.lastError).toContain("away");
  here.store.away = false;
  await events.find("removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
});

test("the staged copy is gone but the object is good: done", async () => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  here.store.objects.set(fileHash, bytes);
  await rm(here.staging.content(fileHash));
  const { events } = here.started();
  await events.find("removed", fileHash);
  expect((await here.content(fileHash))?.state).toBe("stored");
  expect(here.store.calls).not.toContain(`put ${fileHash}`);
});

test("neither staged copy nor object: the job fails and says so, and a new upload revives it", async () => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  await rm(here.staging.content(fileHash));
  const { events, transfer } = here.started();
  const line = await events.find("a job cannot be done", fileHash);
  expect(line.fields.error).toContain("the staged copy is missing");
  await expect
    .poll(() => transfer.handlers().status({ fileHash }, noContext))
    .toMatchObject({
      code: 0,
      state: "failed",
      attempts: 1,
      lastError: expect.stringContaining("missing"),
    });
  await here.stage(bytes);
  await transfer.handlers().submit({ fileHash }, noContext);
  await events.find("removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
});

test.each([
  ["other bytes", (bytes: Buffer) => Buffer.alloc(bytes.length, 1), "its SHA-256 is"],
  ["cut short", (bytes: Buffer) => bytes.subarray(1), "999 bytes instead of 1000"],
])("a corrupt staged copy (%s) is never stored: the job fails", async (_name, damage, message) => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  await writeFile(here.staging.content(fileHash), damage(bytes));
  const { events } = here.started();
  const line = await events.find("a job cannot be done", fileHash);
  expect(line.fields.error).toContain("is corrupt");
  expect(line.fields.error).toContain(message);
  expect(here.store.objects.has(fileHash)).toBe(false);
  expect((await here.content(fileHash))?.state).toBe("local");
  expect(here.isStaged(fileHash)).toBe(true);
});

const steps: Step[] = ["claimed", "opened", "stored", "done", "removed"];
test.each(steps)("a worker that dies at '%s' of a put: a fresh one ends it", async (last) => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  const dead = deferred();
  const release = deferred();
  const database = cuttable(here.database);
  here.started({
    database,
    worker: { leaseMs: 150, stopGraceMs: 1 },
    onStep: async (step) => {
      if (step !== last) return;
      database.cut();
      dead.resolve();
      await release.promise;
      throw new Error("this process is dead");
    },
  });
  await dead.promise;
  const fresh = here.started();
  // After "done" the job is gone; what the dead one left staged is the cleaner's.
  if (last === "done" || last === "removed") await fresh.transfer.runNow("staging");
  else await fresh.events.find("removed", fileHash);
  expect((await here.content(fileHash))?.state).toBe("stored");
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect(here.isStaged(fileHash)).toBe(last === "done");
  release.resolve();
});

test.each(["claimed", "deleted", "done"] as const)("a worker that dies at '%s' of a delete", async (last) => {
  const here = await world();
  const staged = await here.upload();
  const first = here.started();
  await first.events.find("removed", staged.fileHash);
  await first.transfer.stop();
  await here.delete(staged);
  const dead = deferred();
  const release = deferred();
  const database = cuttable(here.database);
  here.started({
    database,
    worker: { leaseMs: 150, stopGraceMs: 1 },
    onStep: async (step) => {
      if (step !== last) return;
      database.cut();
      dead.resolve();
      await release.promise;
      throw new Error("this process is dead");
    },
  });
  await dead.promise;
  const fresh = here.started();
  if (last !== "done") await fresh.events.find("done", staged.fileHash);
  expect(await here.content(staged.fileHash)).toBeNull();
  expect(here.store.objects.size).toBe(0);
  release.resolve();
});

test("two workers with the same job, its lease expired: the second ends it, the first does no harm", async () => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  const slow = new MemoryStore();
  const begun = deferred();
  slow.before = async (operation, _hash, signal) => {
    if (operation !== "put") return;
    begun.resolve();
    // Until the lease is known to be lost.
    await new Promise((resolve) => signal?.addEventListener("abort", resolve));
  };
  const database = cuttable(here.database);
  const first = here.started({ store: slow, database, worker: { leaseMs: 100 } });
  await begun.promise;
  database.cut();
  const second = here.started();
  await second.events.find("removed", fileHash);
  await first.events.find("a job went to another worker", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect((await here.content(fileHash))?.state).toBe("stored");
});

test("the same job at the same time in two workers that both go on to the end: one of them marks it done", async () => {
  const here = await world();
  const { fileHash, bytes } = await here.upload();
  const atStored = deferred();
  const release = deferred();
  const first = here.started({
    worker: { leaseMs: 100 },
    onStep: async (step) => {
      if (step !== "stored") return;
      atStored.resolve();
      await release.promise;
    },
    database: {
      // Its renewals get lost.
      run: async (name, params) => {
        if (name === "outbox.renew") throw new Error("lost");
        return here.database.run(name, params);
      },
    },
  });
  await atStored.promise;
  const second = here.started();
  await second.events.find("removed", fileHash);
  release.resolve();
  await first.transfer.stop();
  expect(first.events.all.map(({ text }) => text)).not.toContain("removed");
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect((await here.content(fileHash))?.state).toBe("stored");
});

test("a delete that comes late does not take what was stored anew", async () => {
  const here = await world();
  const staged = await here.upload();
  const first = here.started();
  await first.events.find("removed", staged.fileHash);
  await first.transfer.stop();
  await here.delete(staged);
  const begun = deferred();
  const release = deferred();
  const late = here.started({
    worker: { leaseMs: 100 },
    onStep: async (step) => {
      if (step !== "claimed") return;
      begun.resolve();
      await release.promise;
    },
    database: {
      // It stalls: no renewal gets through until it goes on.
      run: async (name, params) => {
        if (name === "outbox.renew") await release.promise;
        return here.database.run(name, params);
      },
    },
  });
  await begun.promise;
  const fresh = here.started();
  await fresh.events.find("done", staged.fileHash);
  const again = await here.upload(staged.bytes);
  fresh.transfer.worker.wake();
  await fresh.events.find("removed", again.fileHash);
  release.resolve();
  await late.events.find("a job went to another worker", staged.fileHash);
  expect(here.store.objects.get(again.fileHash)).toEqual(staged.bytes);
});

test("deleted and uploaded again between done and the removal: the new staged copy stays", async () => {
  const here = await world();
  const staged = await here.upload();
  const atDone = deferred();
  const release = deferred();
  let first = true;
  const slow = here.started({
    settings: { concurrency: 1 },
    onStep: async (step) => {
      if (step !== "done" || !first) return;
      first = false;
      atDone.resolve();
      await release.promise;
    },
  });
  await atDone.promise;
  await here.delete(staged);
  await here.stage(staged.bytes);
  const again = await here.finish(staged.bytes);
  release.resolve();
  await slow.events.find("removed", staged.fileHash);
  // The one place is free now for the delete, and then for the put, which needs the new copy.
  await slow.events.times(2, "removed", again.fileHash);
  expect((await here.content(again.fileHash))?.state).toBe("stored");
  expect(here.store.objects.get(again.fileHash)).toEqual(staged.bytes);
});

test("many files at once, no more than the limit under way", async () => {
  const here = await world();
  const full = deferred();
  let now = 0;
  let most = 0;
  here.store.before = async (operation) => {
    if (operation !== "put") return;
    most = Math.max(most, ++now);
    if (now === 3) full.resolve();
    // The first ones wait for each other.
    await full.promise;
    await new Promise((resolve) => setImmediate(resolve));
    now--;
  };
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => here.upload(randomBytes(100), `${i}.bin`)),
  );
  const { events } = here.started({ settings: { concurrency: 3 } });
  await events.times(all.length, "removed");
  expect(most).toBe(3);
  expect(here.store.objects.size).toBe(20);
});

test("stop gives back what cannot end in time, and the next worker has it at once", async () => {
  const here = await world();
  const { fileHash } = await here.upload();
  const begun = deferred();
  const stuck = new MemoryStore();
  stuck.before = async (operation, _hash, signal) => {
    if (operation !== "put") return;
    begun.resolve();
    await new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  };
  const first = here.started({ store: stuck, worker: { stopGraceMs: 1 } });
  await begun.promise;
  await first.transfer.stop();
  expect(stuck.closed).toBe(true);
  const second = here.started();
  await second.events.find("removed", fileHash);
});

test("stop waits for what is under way", async () => {
  const here = await world();
  const { fileHash } = await here.upload();
  const begun = deferred();
  const release = deferred();
  here.store.before = async (operation) => {
    if (operation !== "put") return;
    begun.resolve();
    await release.promise;
  };
  const { transfer } = here.started();
  await begun.promise;
  const stopping = transfer.stop();
  release.resolve();
  await stopping;
  expect((await here.content(fileHash))?.state).toBe("stored");
});

test("the database away for a while: told once, and then everything goes on", async () => {
  const here = await world();
  const { fileHash } = await here.upload();
  let failures = 3;
  const { events } = here.started({
    database: {
      run: async (name, params) => {
        if (failures-- > 0) throw new Error("away");
        return here.database.run(name, params);
      },
    },
  });
  await events.find("removed", fileHash);
  expect(events.all.filter(({ text }) => text === "the outbox is away")).toHaveLength(1);
  expect(events.all.filter(({ text }) => text === "the outbox is back")).toHaveLength(1);
});

test("submit and status refuse what is no hash, and say when there is no such content", async () => {
  const here = await world();
  const { transfer } = here.transfer();
  const handlers = transfer.handlers();
  expect(await handlers.submit({ fileHash: "../x" }, noContext)).toMatchObject({ code: 10_001 });
  expect(await handlers.status({ fileHash: "" }, noContext)).toMatchObject({ code: 10_001 });
  expect(await handlers.status({ fileHash: "0".repeat(64) }, noContext)).toMatchObject({ code: 10_007 });
});
