import { afterAll, beforeAll, expect, test } from "vitest";
import { type Disk, password, startDisk } from "../support/disk.js";
import { addFile, api } from "./support.js";

let disk: Disk;
beforeAll(async () => {
  disk = await startDisk({
    services: ["dbproxy", "account", "apigw"],
    conf: { "account.quota": "1MiB" },
    keep: true,
  });
});
afterAll(() => disk.stop());

const hash = "12".repeat(32);
const time = expect.any(Number);

test("who is signed in, until the sign-out, which also takes the cookie", async () => {
  const ask = api(disk, await disk.user("myself"));
  expect(await ask("GET", "/api/me")).toEqual({
    status: 200,
    body: {
      code: 0,
      msg: "ok",
      user: { username: "myself", signupAtMs: time, quotaBytes: 1_048_576, usedBytes: 0, operator: true },
      // Neither upload nor download runs here: requests for them come to the gateway.
      uploadEntry: "",
      uploadTicket: "",
      downloadEntry: "",
      downloadTicket: "",
    },
  });
  expect(await ask("POST", "/api/signout")).toEqual({ status: 200, body: { code: 0, msg: "ok" } });
  expect(await ask("GET", "/api/me")).toEqual({
    status: 401,
    body: { code: 10005, msg: expect.stringMatching(/sign in again/) },
  });
  // Once more does no harm.
  expect((await ask("POST", "/api/signout")).status).toBe(200);
});

test("folders and files: made, listed, renamed, moved, searched", async () => {
  const user = await disk.user("files");
  const ask = api(disk, user);
  const made = await ask("POST", "/api/folders", { parentId: 0, name: "照片" });
  const entry = {
    id: expect.any(Number),
    parentId: 0,
    name: "照片",
    folder: true,
    fileHash: "",
    sizeBytes: 0,
    createdAtMs: time,
    updatedAtMs: time,
    trashedAtMs: 0,
    state: "",
    path: "",
  };
  expect(made).toEqual({ status: 200, body: { code: 0, msg: "ok", entry } });
  const folder = made.body.entry as { id: number };
  expect(await ask("POST", "/api/folders", { parentId: 0, name: "照片" })).toEqual({
    status: 409,
    body: { code: 10008, msg: expect.stringMatching(/there already/) },
  });
  expect((await ask("POST", "/api/folders", { parentId: 0, name: "照片", reuse: true })).body).toEqual(
    made.body,
  );
  const id = await addFile(disk, user, { name: "a.txt", fileHash: hash, sizeBytes: 3 });
  expect((await ask("PATCH", `/api/files/${id}`, { name: "b.txt" })).body.entry).toMatchObject({
    name: "b.txt",
  });
  expect((await ask("PATCH", `/api/files/${id}`, { parentId: folder.id })).body.entry).toMatchObject({
    parentId: folder.id,
  });
  const list = await ask("GET", `/api/files?parent=${folder.id}&sort=size&desc=1&limit=10`);
  expect(list).toEqual({
    status: 200,
    body: {
      code: 0,
      msg: "ok",
      entries: [expect.objectContaining({ id, name: "b.txt", fileHash: hash, sizeBytes: 3, folder: false })],
      nextCursor: "",
      total: 1,
      parents: [expect.objectContaining({ id: folder.id, name: "照片" })],
    },
  });
  expect((await ask("GET", "/api/files?q=B.T")).body.entries).toEqual([
    expect.objectContaining({ id, path: "照片" }),
  ]);
  expect(await ask("PATCH", `/api/files/${folder.id}`, { parentId: folder.id })).toEqual({
    status: 409,
    body: { code: 10008, msg: expect.stringMatching(/into itself/) },
  });
});

test("pages follow each other by cursor", async () => {
  const ask = api(disk, await disk.user("pages"));
  for (const name of ["a", "b", "c"]) await ask("POST", "/api/folders", { parentId: 0, name });
  const names: string[] = [];
  let cursor = "";
  do {
    const { body } = await ask("GET", `/api/files?limit=2&cursor=${encodeURIComponent(cursor)}`);
    names.push(...(body.entries as Array<{ name: string }>).map(({ name }) => name));
    cursor = body.nextCursor as string;
  } while (cursor !== "");
  expect(names).toEqual(["a", "b", "c"]);
});

test("the trash: in, out again, for good, all of it", async () => {
  const user = await disk.user("trash");
  const ask = api(disk, user);
  const id = await addFile(disk, user, { name: "a.txt", fileHash: hash, sizeBytes: 3 });
  expect((await ask("DELETE", `/api/trash/${id}`)).status).toBe(404);
  expect((await ask("DELETE", `/api/files/${id}`)).body.entry).toMatchObject({ id, trashedAtMs: time });
  expect((await ask("GET", "/api/files")).body.total).toBe(0);
  expect((await ask("GET", "/api/files?trashed=1")).body.entries).toEqual([expect.objectContaining({ id })]);
  expect((await ask("POST", `/api/files/${id}/restore`)).body.entry).toMatchObject({ id, trashedAtMs: 0 });
  await ask("DELETE", `/api/files/${id}`);
  expect(await ask("DELETE", `/api/trash/${id}`)).toEqual({
    status: 200,
    body: { code: 0, msg: "ok", deleted: 1, left: 0 },
  });
  for (const name of ["b", "c"]) {
    const other = await addFile(disk, user, { name, fileHash: hash, sizeBytes: 3 });
    await ask("DELETE", `/api/files/${other}`);
  }
  expect((await ask("DELETE", "/api/trash")).body.deleted).toBe(2);
});

test("nobody reaches what is another's", async () => {
  const owner = await disk.user("owner");
  const id = await addFile(disk, owner, { name: "secret.txt", fileHash: hash, sizeBytes: 3 });
  const folder = await api(disk, owner)("POST", "/api/folders", { parentId: 0, name: "f" });
  const folderId = (folder.body.entry as { id: number }).id;
  const ask = api(disk, await disk.user("thief"));
  const tries = [
    ask("PATCH", `/api/files/${id}`, { name: "mine.txt" }),
    ask("PATCH", `/api/files/${id}`, { parentId: 0 }),
    ask("DELETE", `/api/files/${id}`),
    ask("POST", `/api/files/${id}/restore`),
    ask("DELETE", `/api/trash/${id}`),
    ask("GET", `/api/files?parent=${folderId}`),
    ask("POST", "/api/folders", { parentId: folderId, name: "x" }),
  ];
  for (const { status, body } of await Promise.all(tries)) {
    expect([status, body.code]).toEqual([404, 10007]);
  }
  expect((await ask("GET", "/api/files?q=secret")).body.total).toBe(0);
});

test.each<[string, string, object | undefined]>([
  ["GET", "/api/files?sort=colour", undefined],
  ["GET", "/api/files?limit=1001", undefined],
  ["GET", "/api/files?parent=-1", undefined],
  ["GET", "/api/files?parent=1e400", undefined],
  ["GET", "/api/files?cursor=nonsense", undefined],
  ["POST", "/api/folders", { name: "a" }],
  ["POST", "/api/folders", { parentId: 0, name: "a/b" }],
  ["POST", "/api/folders", { parentId: 0, name: "a\u202eb" }],
  ["POST", "/api/folders", { parentId: 0, name: "half \ud83d" }],
  ["POST", "/api/folders", { parentId: 0, name: "\u3164" }],
  ["PATCH", "/api/files/1", { name: "half \udc00" }],
  ["POST", "/user/signup", { username: "half\ud83d", password: "told in the title" }],
  ["POST", "/user/signin", { username: "someone", password: "half \ud83d" }],
  ["POST", "/file/update", { filehash: "half \ud83d", filename: "a" }],
  ["PATCH", "/api/files/1", {}],
  ["PATCH", "/api/files/1", { name: "a", parentId: 0 }],
  ["DELETE", "/api/files/x", undefined],
  ["DELETE", "/api/files/9007199254740993", undefined],
])("%s %s %j is a wrong parameter", async (method, path, body) => {
  const ask = api(disk, await disk.user());
  expect(await ask(method, path, body)).toEqual({
    status: 400,
    body: { code: 10001, msg: expect.any(String) },
  });
});

test("a body of nothing but brackets is a wrong parameter too", async () => {
  const { headers } = await disk.user();
  const body = `{"parentId":0,"name":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  const reply = await fetch(`${disk.url}/api/folders`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body,
  });
  expect(reply.status).toBe(400);
});

test("the services are the operator's to see, here the one who signed up first", async () => {
  const ask = api(disk, await disk.user("services"));
  expect(await ask("GET", "/api/services")).toEqual({
    status: 403,
    body: { code: 10011, msg: expect.stringMatching(/operator/) },
  });
  expect((await ask("GET", "/api/me")).body.user).toMatchObject({ operator: false });
});

test("the services page: what is listed, and who answers", async () => {
  const ask = api(disk, await disk.signin("myself", password));
  const { body } = await ask("GET", "/api/services");
  const instances = [{ address: expect.stringMatching(/^unix:\/.*\/rpc\//), healthy: true }];
  expect(body.services).toEqual([
    { service: "clouddisk.DBProxyService", instances },
    { service: "clouddisk.FileService", instances },
    { service: "clouddisk.UserService", instances },
  ]);
});
