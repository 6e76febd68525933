import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Host } from "../../src/common/part.js";
import { Staging } from "../../src/common/staging.js";
import { DownloadServiceStub } from "../../src/download/gen/download.js";
import { DatabaseProgress } from "../../src/progress/database-progress.js";
import type { ProgressStore } from "../../src/progress/progress.js";
import { Completer } from "../../src/upload/complete.js";
import type { Step, UploadContext } from "../../src/upload/context.js";
import { receivePart } from "../../src/upload/receive.js";
import { deferred } from "../common/deferred.js";
import { type Disk, startDisk } from "../support/disk.js";
import { Client, partBytes, partOf, sha256 } from "./support.js";

let disk: Disk;
let client: Client;
beforeAll(async () => {
  disk = await startDisk({ keep: true, conf: { "upload.part": "64KiB" } });
  client = new Client(disk, await disk.user());
});
afterAll(() => disk.stop());
afterEach(() => {
  vi.useRealTimers();
});

/** Renewals come when the test says so. */
const renewalAfterMs = 8_000;
const holdTimers = () => vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });

function contextWith(parts: Partial<UploadContext> & { run?: Host["database"]["run"] }): UploadContext {
  const { run, ...more } = parts;
  const host =
    run === undefined ? disk.node.host : { ...disk.node.host, database: { run } as Host["database"] };
  return {
    host,
    staging: new Staging(disk.dataFolder),
    progress: new DatabaseProgress(host.database),
    download: new DownloadServiceStub(host.channel),
    log: disk.log,
    submit: () => {},
    ...more,
  };
}

async function uploadOf(id: string) {
  const { upload } = await disk.node.host.database.run("upload.peek", { id });
  if (upload === null) throw new Error("no such upload");
  return upload;
}

/** What follows at once has happened by then. */
async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 3000; turn++) await new Promise(setImmediate);
}

/** The database's progress, with some of its methods replaced. */
function progressWith(replaced: (real: ProgressStore) => Partial<ProgressStore>): ProgressStore {
  const real = new DatabaseProgress(disk.node.host.database);
  return {
    claim: (key, ms) => real.claim(key, ms),
    record: (key, hash) => real.record(key, hash),
    release: (key) => real.release(key),
    list: (uploadId) => real.list(uploadId),
    clear: (uploadId) => real.clear(uploadId),
    close: () => real.close(),
    ...replaced(real),
  };
}

it("a renewal of a part's claim that is under way is waited for before the claim is given back", async () => {
  const data = randomBytes(partBytes);
  const id = await client.begin(data);
  const upload = await uploadOf(id);
  const renewing = deferred();
  const mayRenew = deferred();
  let claims = 0;
  const progress = progressWith((real) => ({
    claim: async (key, leaseMs) => {
      if (++claims === 2) {
        renewing.resolve();
        await mayRenew.promise;
      }
      return real.claim(key, leaseMs);
    },
  }));
  holdTimers();
  const body = new PassThrough();
  const part = { index: 0, partHash: "", body, contentLength: undefined };
  const receiving = receivePart(contextWith({ progress }), upload, part);
  const failed = expect(receiving).rejects.toThrow("fewer were sent");
  await expect.poll(() => vi.getTimerCount()).toBeGreaterThan(0);
  vi.advanceTimersByTime(renewalAfterMs);
  await renewing.promise;
  body.end("too short");
  await manyTurns();
  mayRenew.resolve();
  await failed;
  await manyTurns();
  expect(await progress.list(id)).toMatchObject({ claims: 0 });
  expect(await client.uppart(id, 0, data)).toMatchObject({ code: 0 });
});

it("a renewal of a complete that is under way is waited for before its turn is given back", async () => {
  const data = randomBytes(partBytes);
  const id = await client.begin(data, "renewed");
  await client.uppart(id, 0, randomBytes(partBytes));
  const { userId } = await uploadOf(id);
  const merging = deferred();
  const renewing = deferred();
  const mayRenew = deferred();
  const cleared = deferred();
  let starts = 0;
  const run: Host["database"]["run"] = async (name, ...more) => {
    if (name === "upload.startMerge" && ++starts === 2) {
      renewing.resolve();
      await mayRenew.promise;
    }
    return disk.node.host.database.run(name, ...more);
  };
  // Its end is near: wrong parts are forgotten.
  const progress = progressWith((real) => ({
    clear: async (uploadId) => {
      await real.clear(uploadId);
      cleared.resolve();
    },
  }));
  const onStep = async (step: Step) => {
    if (step !== "merging") return;
    merging.resolve();
    await renewing.promise;
  };
  holdTimers();
  const completing = new Completer(contextWith({ run, progress, onStep })).complete(userId, id);
  const failed = expect(completing).rejects.toThrow("send all parts again");
  await merging.promise;
  vi.advanceTimersByTime(renewalAfterMs);
  await cleared.promise;
  await manyTurns();
  mayRenew.resolve();
  await failed;
  await manyTurns();
  expect((await uploadOf(id)).state).toBe("open");
  expect(await client.uppart(id, 0, data)).toMatchObject({ code: 0 });
  expect(await client.complete(id)).toMatchObject({ code: 0 });
});

it("a complete that stood still for longer than its lease leaves to the other what is the other's by now", async () => {
  const data = randomBytes(2 * partBytes);
  const id = await client.begin(data, "taken over");
  for (const index of [0, 1]) await client.uppart(id, index, partOf(data, index));
  const { userId } = await uploadOf(id);
  const standing = deferred();
  const goOn = deferred();
  const onStep = async (step: Step) => {
    if (step !== "merging") return;
    standing.resolve();
    await goOn.promise;
  };
  const run: Host["database"]["run"] = (name, params, options) => {
    // Its lease is over at once.
    const given = name === "upload.startMerge" ? { ...params, leaseMs: 1 } : params;
    return disk.node.host.database.run(name, given, options);
  };
  holdTimers();
  const first = new Completer(contextWith({ run, onStep })).complete(userId, id);
  await standing.promise;
  await expect.poll(() => client.complete(id)).toMatchObject({ code: 0 });
  goOn.resolve();
  await expect(first).rejects.toMatchObject({ code: -2 });
  expect(await readdir(new Staging(disk.dataFolder).partsFolder)).not.toContain(id);
  expect(await client.rows(sha256(data))).toBe(1);
});

it("a content of another length than the upload's is not its content", async () => {
  const data = randomBytes(1000);
  const fileHash = sha256(data);
  expect(await client.whole("known", data)).toMatchObject({ code: 0 });
  const { database } = disk.node.host;
  const stored = async () => (await database.run("content.get", { fileHash })).content?.state;
  await expect.poll(stored).toBe("stored");
  const file = { filename: "liar", filehash: fileHash, filesize: partBytes };
  const id = String((await client.post("/file/mpupload/init", file)).uploadID);
  expect(await client.uppart(id, 0, randomBytes(partBytes))).toMatchObject({ code: 0 });
  await rm(new Staging(disk.dataFolder).parts(id));
  expect(await client.complete(id)).toMatchObject({ http: 200, code: -2 });
  expect(await client.rows(fileHash)).toBe(1);
});
