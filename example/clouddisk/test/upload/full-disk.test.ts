import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Staging } from "../../src/common/staging.js";
import { type Disk, type DiskProcess, startDisk, type User } from "../support/disk.js";

/** A process whose files may not grow beyond a limit: like a disk that is full, for any user on any machine. */

const run = promisify(execFile);
const partBytes = 65_536;
const data = randomBytes(3 * partBytes);

const full = { code: 10_002, msg: "the server's disk is full ([clouddisk] data)" };

let disk: Disk;
let upload: DiskProcess;
let user: User;
beforeAll(async () => {
  const services = ["dbproxy", "account", "transfer", "download", "apigw"] as const;
  disk = await startDisk({ keep: true, services, conf: { "upload.part": "64KiB" } });
  upload = await disk.startProcess(["upload"]);
  user = await disk.user();
});
afterAll(() => disk.stop());

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Bytes, or "unlimited". */
async function limitFiles(limit: number | "unlimited"): Promise<void> {
  await run("prlimit", ["--pid", String(upload.pid), `--fsize=${limit}:`]);
}

async function post(route: string, body: URLSearchParams | Uint8Array | FormData): Promise<[number, object]> {
  const reply = await fetch(disk.urlOf("upload") + route, { method: "POST", body, headers: user.headers });
  return [reply.status, (await reply.json()) as object];
}

function sendPart(id: unknown, index: number): Promise<[number, object]> {
  const body = new Uint8Array(data.subarray(index * partBytes, (index + 1) * partBytes));
  return post(`/file/mpupload/uppart?uploadid=${id}&index=${index}`, body);
}

it("a part that the disk takes only some of is not there; with room the upload goes on", async () => {
  const file = { filename: "part.bin", filehash: sha256(data), filesize: String(data.length) };
  const [, begun] = await post("/file/mpupload/init", new URLSearchParams(file));
  const id = Reflect.get(begun, "uploadID");
  // The last write of the part is a short one, which is no error by itself.
  await limitFiles(2 * partBytes - 10);
  expect(await sendPart(id, 0)).toMatchObject([200, { code: 0 }]);
  expect(await sendPart(id, 1)).toEqual([507, full]);
  expect(await sendPart(id, 2)).toEqual([507, full]);
  // The log says which disk.
  await expect.poll(() => upload.output).toContain(`no room in ${disk.dataFolder}`);
  const [, status] = await post("/file/mpupload/init", new URLSearchParams(file));
  expect(status).toMatchObject({ uploadID: id, chunkexists: [0] });

  await limitFiles("unlimited");
  expect(await sendPart(id, 1)).toMatchObject([200, { code: 0 }]);
  expect(await sendPart(id, 2)).toMatchObject([200, { code: 0 }]);
  const [, done] = await post("/file/mpupload/complete", new URLSearchParams({ uploadid: String(id) }));
  expect(done).toMatchObject({ code: 0 });
  const bytes = await fetch(`${disk.url}/file/download?filehash=${file.filehash}`, { headers: user.headers });
  expect(sha256(new Uint8Array(await bytes.arrayBuffer()))).toBe(file.filehash);
});

it("a whole file that the disk does not take leaves nothing, raw or in a form", async () => {
  const bytes = new Uint8Array(randomBytes(3 * partBytes));
  const form = new FormData();
  form.set("file", new Blob([bytes]), "form.bin");
  const files = () => readdir(new Staging(disk.dataFolder).wholeFolder);
  await limitFiles(2 * partBytes);
  expect(await post("/file/upload?filename=raw.bin", bytes)).toEqual([507, full]);
  expect(await post("/file/upload", form)).toEqual([507, full]);
  expect(await files()).toEqual([]);
  await limitFiles("unlimited");
  expect(await post("/file/upload?filename=raw.bin", bytes)).toMatchObject([200, { code: 0 }]);
  expect(await post("/file/upload", form)).toMatchObject([200, { code: 0 }]);
  expect(await files()).toEqual([]);
});

it("a database whose disk is full says so everywhere, and goes on when there is room", async () => {
  const split = await startDisk({ services: ["account", "apigw"] });
  const database = await split.startProcess(["dbproxy"]);
  const someone = await split.user();
  const limit = (bytes: string) => run("prlimit", ["--pid", String(database.pid), `--fsize=${bytes}:`]);
  const folder = (name: string) =>
    fetch(`${split.url}/api/folders`, {
      method: "POST",
      headers: { ...someone.headers, "content-type": "application/json" },
      body: JSON.stringify({ parentId: 0, name }),
    });
  await limit("4096");
  const refused = await folder("a");
  expect([refused.status, await refused.json()]).toEqual([
    507,
    { code: 10_002, msg: "the database's disk is full" },
  ]);
  const list = await fetch(`${split.url}/api/files`, { headers: someone.headers });
  expect(list.status).toBe(200);
  await limit("unlimited");
  expect((await folder("a")).status).toBe(200);
});
