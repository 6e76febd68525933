import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, rm, symlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compiled } from "../../../../test/tools/compiled.js";
import { endInstance, newInstance } from "../../src/common/instance.js";
import type { Host } from "../../src/common/part.js";
import { Staging } from "../../src/common/staging.js";
import { DownloadServiceStub } from "../../src/download/gen/download.js";
import { DatabaseProgress } from "../../src/progress/database-progress.js";
import { Completer } from "../../src/upload/complete.js";
import type { Step, UploadContext } from "../../src/upload/context.js";
import { deferred } from "../common/deferred.js";
import { type Disk, startDisk, type User } from "../support/disk.js";

const partBytes = 65_536;
const sizeBytes = 3 * partBytes + 7;
const root = fileURLToPath(new URL("../../../../", import.meta.url));
const script = new URL("support/killed-complete.ts", import.meta.url);
const steps: readonly Step[] = ["merging", "hashed", "renamed", "finished", "cleared"];

let disk: Disk;
beforeAll(async () => {
  disk = await startDisk({ keep: true, conf: { "upload.part": "64KiB", "transfer.retrymin": "20ms" } });
});
afterAll(() => disk.stop());

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

type Reply = Record<string, unknown>;

async function sendPart(user: User, id: unknown, data: Buffer, index: number): Promise<[number, Reply]> {
  const body = new Uint8Array(data.subarray(index * partBytes, (index + 1) * partBytes));
  const url = `${disk.url}/file/mpupload/uppart?uploadid=${id}&index=${index}`;
  const reply = await fetch(url, { method: "POST", body, headers: user.headers });
  return [reply.status, (await reply.json()) as Reply];
}

/** Of a new user, all of its parts there. */
async function uploadParts(data: Buffer): Promise<{ user: User; id: string }> {
  const user = await disk.user();
  const file = { filename: "steps.bin", filehash: sha256(data), filesize: data.length };
  const { uploadID } = await disk.post("/file/mpupload/init", file, user);
  for (let index = 0; index < 4; index++) {
    expect(await sendPart(user, uploadID, data, index)).toMatchObject([200, { code: 0 }]);
  }
  return { user, id: String(uploadID) };
}

/** As of a process that dies at the step: from then on it does nothing more, not even what ends things in order. */
function dyingAt(dyingStep: Step): { context: UploadContext; died: Promise<void> } {
  const { host } = disk.node;
  const never = new Promise<never>(() => {});
  const instance = newInstance("dying");
  let dead = false;
  const death = deferred();
  const run = (...call: Parameters<Host["database"]["run"]>) => (dead ? never : host.database.run(...call));
  const database = { run } as unknown as Host["database"];
  const context: UploadContext = {
    host: { ...host, instance, database },
    staging: new Staging(host.settings.dataFolder),
    progress: new DatabaseProgress(database),
    download: new DownloadServiceStub(host.channel),
    log: disk.log,
    submit: () => {},
    onStep: async (step) => {
      if (step !== dyingStep) return;
      dead = true;
      endInstance(instance);
      death.resolve();
      await never;
    },
  };
  return { context, died: death.promise };
}

/** Completes in a process that is killed there; gives the signal it died of. */
async function killedAt(step: Step, userId: number, uploadId: string): Promise<unknown> {
  const { PATH, HOME } = process.env;
  const args = [compiled(script), step, String(userId), uploadId, ...disk.argv()];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { PATH, HOME },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code, signal] = await once(child, "close");
  return signal ?? code;
}

async function ownerOf(id: string): Promise<number> {
  const { upload } = await disk.node.host.database.run("upload.peek", { id });
  return upload?.userId ?? 0;
}

/** The client's retry makes one file of it, whatever was done already, and nothing else stays. */
async function expectRetryCompletes(user: User, id: string, data: Buffer): Promise<void> {
  const fileHash = sha256(data);
  for (let again = 0; again < 2; again++) {
    const reply = await disk.post("/file/mpupload/complete", { uploadid: id }, user);
    expect(reply).toMatchObject({ code: 0, data: { filename: "steps.bin", filesize: sizeBytes } });
  }
  const { headers } = user;
  const list = async () => (await (await fetch(`${disk.url}/api/files`, { headers })).json()) as Reply;
  // Nobody told transfer: it looks at its outbox every three seconds.
  await expect.poll(list).toMatchObject({ total: 1, entries: [{ name: "steps.bin", state: "stored" }] });
  const me = (await (await fetch(`${disk.url}/api/me`, { headers })).json()) as Reply;
  expect(me.user).toMatchObject({ usedBytes: sizeBytes });
  const bytes = await fetch(`${disk.url}/file/download?filehash=${fileHash}`, { headers });
  expect(sha256(new Uint8Array(await bytes.arrayBuffer()))).toBe(fileHash);
  const { content } = await disk.node.host.database.run("content.get", { fileHash });
  expect(content).toMatchObject({ refCount: 1, state: "stored" });

  const staging = new Staging(disk.dataFolder);
  expect(await readdir(staging.partsFolder)).toEqual([]);
  // Transfer deletes it once the store has it.
  const staged = async () =>
    (await readdir(staging.contentFolder, { recursive: true })).filter((name) => name.length > 2);
  await expect.poll(staged).toEqual([]);
  const { parts } = await new DatabaseProgress(disk.node.host.database).list(id);
  expect(parts.size).toBe(0);
}

it.each(steps)(
  "a complete that dies at %s is asked for once more: one row, one copy, no rest",
  async (step) => {
    const data = randomBytes(sizeBytes);
    const { user, id } = await uploadParts(data);
    const { context, died } = dyingAt(step);
    void new Completer(context).complete(await ownerOf(id), id);
    await died;
    await expectRetryCompletes(user, id, data);
  },
);

it.each(steps)("kill -9 at %s: the retry needs no lease to run out", async (step) => {
  const data = randomBytes(sizeBytes);
  const { user, id } = await uploadParts(data);
  expect(await killedAt(step, await ownerOf(id), id)).toBe("SIGKILL");
  await expectRetryCompletes(user, id, data);
});

it("a full disk is told with 507 and where; once there is room the upload goes on", async () => {
  const data = randomBytes(sizeBytes);
  const user = await disk.user();
  const file = { filename: "full.bin", filehash: sha256(data), filesize: data.length };
  const { uploadID } = await disk.post("/file/mpupload/init", file, user);
  const place = new Staging(disk.dataFolder).parts(String(uploadID));
  await rm(place);
  // The kernel says of this device that it has no space left.
  await symlink("/dev/full", place);
  expect(await sendPart(user, uploadID, data, 0)).toEqual([
    507,
    { code: 10_002, msg: "the server's disk is full ([clouddisk] data)" },
  ]);
  await rm(place);
  // Begun again, as a client does that was interrupted.
  const resumed = await disk.post("/file/mpupload/init", file, user);
  expect(resumed).toMatchObject({ uploadID, chunkexists: [] });
  for (let index = 0; index < 4; index++) {
    expect(await sendPart(user, uploadID, data, index)).toMatchObject([200, { code: 0 }]);
  }
  const done = await disk.post("/file/mpupload/complete", { uploadid: String(uploadID) }, user);
  expect(done).toMatchObject({ code: 0 });
});
