import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { isTempGone, tempName } from "../../src/common/instance.js";
import { Staging } from "../../src/common/staging.js";
import { type Disk, password, startDisk, type User } from "../support/disk.js";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const upload = async (disk: Disk, user: User, name: string, text: string) => {
  const url = `${disk.url}/file/upload?filename=${name}`;
  const reply = await fetch(url, {
    method: "POST",
    headers: user.headers,
    body: new TextEncoder().encode(text),
  });
  return {
    status: reply.status,
    headers: reply.headers,
    body: (await reply.json()) as Record<string, unknown>,
  };
};

const begin = (disk: Disk, user: User, name: string) =>
  disk.post("/file/mpupload/init", { filename: name, filehash: sha256(name), filesize: 10 }, user);

test("a user has so many uploads open, and begins another once one is given up", async () => {
  const disk = await startDisk({ conf: { "upload.openmax": "2" } });
  const user = await disk.user();
  const first = await begin(disk, user, "a");
  expect([first.code, (await begin(disk, user, "b")).code]).toEqual([0, 0]);
  expect(await begin(disk, user, "c")).toEqual({
    code: 10_008,
    msg: expect.stringContaining("[upload] openmax"),
  });
  // Going on with one is not another one; other users have their own.
  expect((await begin(disk, user, "a")).uploadID).toBe(first.uploadID);
  expect((await begin(disk, await disk.user(), "c")).code).toBe(0);
  await disk.post("/file/mpupload/cancel", { uploadid: String(first.uploadID) }, user);
  expect((await begin(disk, user, "c")).code).toBe(0);
});

test("upload routes take so many requests a minute", async () => {
  const disk = await startDisk({ conf: { "upload.requestsperminute": "5" } });
  const user = await disk.user();
  const replies = [];
  for (let count = 0; count < 6; count++) replies.push(await upload(disk, user, `f${count}`, "x"));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  expect(replies[5]?.body).toEqual({
    code: 10_010,
    msg: expect.stringContaining("upload.requestsperminute"),
  });
  expect(Number(replies[5]?.headers.get("retry-after"))).toBeGreaterThan(0);
  // The gateway's own routes count for themselves.
  expect((await disk.post("/file/query", {}, user)).code).toBeUndefined();
});

test("nobody learns by instant upload what others have, unless the disk is told to say so", async () => {
  const form = (text: string) => ({ filename: "again", filehash: sha256(text) });
  const disk = await startDisk();
  const [owner, other] = [await disk.user(), await disk.user()];
  await upload(disk, owner, "secret", "the secret");
  expect((await disk.post("/file/fastupload", form("the secret"), owner)).code).toBe(0);
  const theirs = await disk.post("/file/fastupload", form("the secret"), other);
  expect(theirs).toEqual({ code: -1, msg: expect.any(String) });
  expect(await disk.post("/file/fastupload", form("nobody has this"), other)).toEqual(theirs);
  const open = await startDisk({ conf: { "upload.instant": "everyone" } });
  await upload(open, await open.user(), "shared", "shared");
  expect(await open.post("/file/fastupload", form("shared"), await open.user())).toMatchObject({
    code: -2,
    data: { challenge: { ranges: [{ offset: 0, length: 6 }] } },
  });
});

test("uploads leave room on the disk; signing in and deleting go on", async () => {
  const disk = await startDisk();
  const user = await disk.user();
  const { body } = await upload(disk, user, "kept", "kept");
  const { id } = body.data as { id: number };
  const [node] = disk.nodes;
  if (node === undefined) throw new Error("no node");
  // As if all but nothing were in use.
  node.settings.upload.reserveBytes = Number.MAX_SAFE_INTEGER;
  const full = { code: 10_002, msg: expect.stringContaining("disk is full") };
  expect(await upload(disk, user, "more", "more")).toMatchObject({ status: 507, body: full });
  expect(await begin(disk, user, "big")).toEqual(full);
  const again = await disk.signin(user.name, password);
  const gone = await fetch(`${disk.url}/api/files/${id}`, { method: "DELETE", headers: again.headers });
  expect(gone.status).toBe(200);
  const deleted = await fetch(`${disk.url}/api/trash`, { method: "DELETE", headers: again.headers });
  expect(await deleted.json()).toMatchObject({ deleted: 1, left: 0 });
  node.settings.upload.reserveBytes = 0;
  expect((await upload(disk, user, "more", "more")).status).toBe(200);
});

/** Of a process that has ended, as far as its number tells. */
function tempOfTheDead(): string {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  return tempName().replace(/\.\d+\./, `.${pid}.`);
}

test("a temp file tells whether its process has ended, also one that had our number", () => {
  expect(isTempGone(tempName())).toBe(false);
  expect(isTempGone(tempOfTheDead())).toBe(true);
  expect(isTempGone(tempName().replace(/^(.{12}\.\d+\.)[0-9a-f]{8}/, "$100000000"))).toBe(true);
  // Of another machine, or of before: its age decides.
  expect(isTempGone(tempOfTheDead().replace(/^.{12}/, "0".repeat(12)))).toBe(false);
  expect(isTempGone("0123456789abcdef0123456789abcdef")).toBe(false);
});

test("temp files of a process that was killed go at the next start, those of living ones stay", async () => {
  const disk = await startDisk({ services: [] });
  const whole = new Staging(disk.dataFolder).wholeFolder;
  const store = path.join(disk.dataFolder, "store", "tmp");
  const living = tempName();
  for (const folder of [whole, store]) {
    await mkdir(folder, { recursive: true });
    for (const name of [tempOfTheDead(), living]) await writeFile(path.join(folder, name), "left");
  }
  await disk.startNode(["dbproxy", "account", "transfer", "download", "upload", "apigw"]);
  expect(await readdir(whole)).toEqual([living]);
  expect(await readdir(store)).toEqual([living]);
});
