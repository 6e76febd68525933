import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { RunningNode } from "../../src/common/node.js";
import { serviceNames } from "../../src/common/part.js";
import { type Disk, startDisk, type User } from "../support/disk.js";

const partBytes = 65_536;
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

interface Machines {
  disk: Disk;
  user: User;
  first: RunningNode;
  second: RunningNode;
}

/** Two machines with all services, each with its own data folder; one database. The store is away. */
async function startMachines(): Promise<Machines> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-machine-"));
  const conf = {
    "upload.part": "64KiB",
    // Nothing ever reaches it: what is uploaded stays where it arrived.
    "store.url": "http://127.0.0.1:1",
    "store.accesskey": "none",
    "store.secretkey": "none",
  };
  const disk = await startDisk({ conf });
  const second = await disk.startNode(
    serviceNames.filter((name) => name !== "dbproxy"),
    { "clouddisk.data": folder, "clouddisk.node": "second" },
  );
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const machines = { disk, user: await disk.user(), first: disk.node, second };
  for (const { host } of [machines.first, second]) {
    await expect
      .poll(() => host.database.run("node.find", { node: host.settings.node, kind: "download" }))
      .toMatchObject({ url: expect.stringContaining("http://127.0.0.1:") });
  }
  return machines;
}

function ask(node: RunningNode, user: User, route: string, init: RequestInit = {}): Promise<Response> {
  return fetch(node.httpAddress("apigw") + route, { headers: user.headers, ...init });
}

type Reply = Record<string, unknown>;

async function post(
  node: RunningNode,
  user: User,
  route: string,
  form: Record<string, string>,
): Promise<Reply> {
  const reply = await ask(node, user, route, { method: "POST", body: new URLSearchParams(form) });
  return (await reply.json()) as Reply;
}

test("an upload begun on one machine goes on at the other one, and so does its download", async () => {
  const { user, first, second } = await startMachines();
  const data = randomBytes(3 * partBytes + 5);
  const file = { filename: "two.bin", filehash: sha256(data), filesize: String(data.length) };
  const { uploadID } = await post(first, user, "/file/mpupload/init", file);
  // Where it was begun is where its parts go, whomever the client asks.
  expect((await post(second, user, "/file/mpupload/init", file)).uploadID).toBe(uploadID);
  for (let index = 0; index < 4; index++) {
    // A Blob: fetch sends the bytes of an array once only.
    const part = new Blob([new Uint8Array(data.subarray(index * partBytes, (index + 1) * partBytes))]);
    const route = `/file/mpupload/uppart?uploadid=${uploadID}&index=${index}`;
    const reply = await ask(index % 2 === 0 ? first : second, user, route, { method: "POST", body: part });
    expect(await reply.json()).toMatchObject({ code: 0 });
    expect(reply.redirected).toBe(index % 2 === 1);
  }
  const status = await ask(second, user, `/file/mpupload/status?uploadid=${uploadID}`);
  expect(await status.json()).toMatchObject({ chunkexists: [0, 1, 2, 3] });
  const done = await post(second, user, "/file/mpupload/complete", { ...file, uploadid: String(uploadID) });
  expect(done).toMatchObject({ code: 0 });

  const whole = await ask(second, user, `/file/download?filehash=${sha256(data)}`);
  expect([whole.status, whole.redirected]).toEqual([200, true]);
  expect(sha256(new Uint8Array(await whole.arrayBuffer()))).toBe(sha256(data));
  const signed = await post(second, user, "/file/downloadurl", { filehash: sha256(data) });
  const range = await fetch(String(signed.url), { headers: { range: "bytes=5-9" } });
  expect(Buffer.from(await range.arrayBuffer())).toEqual(data.subarray(5, 10));
  // The proof of possession cannot be checked there: the file is sent instead.
  const instant = { filename: "again.bin", filehash: sha256(data) };
  expect(await post(second, user, "/file/fastupload", instant)).toMatchObject({ code: 0 });
});

test("a machine that is away: its uploads are begun anew elsewhere, its files are told to come back", async () => {
  const { disk, user, first, second } = await startMachines();
  const data = randomBytes(partBytes + 1);
  const file = { filename: "away.bin", filehash: sha256(data), filesize: String(data.length) };
  const { uploadID } = await post(second, user, "/file/mpupload/init", file);
  const staged = await ask(second, user, "/file/upload?filename=staged.bin", {
    method: "POST",
    body: "staged",
  });
  expect(await staged.json()).toMatchObject({ code: 0 });
  await second.stop();
  disk.nodes.splice(disk.nodes.indexOf(second), 1);
  const gone = { node: "second", ttlMs: 1, url: "http://127.0.0.1:1" };
  await first.host.database.run("node.announce", { ...gone, kind: "upload" });
  await first.host.database.run("node.announce", { ...gone, kind: "download" });

  const route = `/file/mpupload/uppart?uploadid=${uploadID}&index=0`;
  const part = await ask(first, user, route, { method: "POST", body: "x".repeat(partBytes) });
  expect([part.status, await part.json()]).toEqual([
    503,
    { code: 10_002, msg: "the upload is on the node second, which is away; try again when it is back" },
  ]);
  const anew = await post(first, user, "/file/mpupload/init", file);
  expect(anew).toMatchObject({ code: 0, chunkexists: [] });
  expect(anew.uploadID).not.toBe(uploadID);
  const download = await ask(first, user, `/file/download?filehash=${sha256(Buffer.from("staged"))}`);
  expect([download.status, download.headers.get("content-disposition")]).toEqual([503, null]);
  expect(await download.json()).toMatchObject({ code: 10_002, msg: expect.stringContaining("second") });
});

test("two nodes that name one address do not send a client in circles", async () => {
  const { user, first, second } = await startMachines();
  const file = { filename: "circle.bin", filehash: "a".repeat(64), filesize: "5" };
  const { uploadID } = await post(second, user, "/file/mpupload/init", file);
  const url = first.httpAddress("apigw");
  await first.host.database.run("node.announce", { node: "second", kind: "upload", url, ttlMs: 60_000 });
  const route = `/file/mpupload/uppart?uploadid=${uploadID}&index=0`;
  const part = await ask(first, user, route, { method: "POST", body: "12345" });
  expect([part.status, part.redirected]).toEqual([503, true]);
});
