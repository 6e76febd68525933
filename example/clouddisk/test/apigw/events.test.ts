import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { password, startDisk } from "../support/disk.js";
import { openFeed } from "./feed-reader.js";
import { addFile, api, at } from "./support.js";

const services = ["dbproxy", "account", "apigw"] as const;

test("a feed tells each change of its user's files in order, and nobody else's", async () => {
  const disk = await startDisk({ services });
  const [user, other] = [await disk.user(), await disk.user()];
  const ask = api(disk, user);
  const feed = await openFeed(disk, user, { headers: { "accept-encoding": "gzip" } });
  expect([feed.status, feed.headers["content-type"], feed.headers["content-encoding"]]).toEqual([
    200,
    "text/event-stream; charset=utf-8",
    undefined,
  ]);
  await api(disk, other)("POST", "/api/folders", { parentId: 0, name: "of the other" });
  const made = await ask("POST", "/api/folders", { parentId: 0, name: "a" });
  const { id } = made.body.entry as { id: number };
  const file = await addFile(disk, user, { name: "file", fileHash: "a".repeat(64), sizeBytes: 3 });
  await ask("PATCH", `/api/files/${id}`, { name: "b" });
  await ask("PATCH", `/api/files/${file}`, { parentId: id });
  await ask("DELETE", `/api/files/${id}`);
  await ask("POST", `/api/files/${id}/restore`);
  await ask("POST", "/api/files/batch/trash", { ids: [id] });
  await ask("DELETE", `/api/trash/${id}`);
  await expect
    .poll(() => feed.told)
    .toEqual([
      "ready",
      "added a",
      "added file",
      "renamed b",
      "moved file",
      "trashed b",
      "restored b",
      "trashed b",
      "deleted b",
    ]);
  const ids = feed.events.map((one) => Number(one.id));
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
  expect(feed.events[4]).toEqual({
    id: expect.stringMatching(/^\d+$/),
    event: "entry",
    data: {
      change: "moved",
      atMs: expect.closeTo(Date.now(), -5),
      entry: { id: file, parentId: id, fromParentId: 0, name: "file", folder: false },
    },
  });
});

test("who comes back goes on where he was; after what is forgotten he is told to load everything", async () => {
  const disk = await startDisk({ services });
  const user = await disk.user();
  const make = (name: string) => api(disk, user)("POST", "/api/folders", { parentId: 0, name });
  await make("before");
  const first = await openFeed(disk, user);
  await make("one");
  await expect.poll(() => first.told).toEqual(["ready", "added one"]);
  first.close();
  const last = first.events.at(-1)?.id ?? "";
  for (const name of ["two", "three"]) await make(name);
  const back = await openFeed(disk, user, { headers: { "last-event-id": last } });
  await expect.poll(() => back.told).toEqual(["ready", "added two", "added three"]);
  const asked = await openFeed(disk, user, { query: `?after=${back.events[1]?.id}` });
  await expect.poll(() => asked.told).toEqual(["ready", "added three"]);

  const { database } = disk.node.host;
  await database.run("change.prune", { createdBeforeMs: Date.now() + 1000, limit: 1000 });
  const late = await openFeed(disk, user, { headers: { "last-event-id": last } });
  await make("four");
  await expect.poll(() => late.told).toEqual(["reload", "added four"]);
  // What it says is good for the next time, though nothing of this user's is left.
  const again = await openFeed(disk, user, { query: `?after=${late.events[0]?.id}` });
  await expect.poll(() => again.told).toEqual(["ready", "added four"]);
  // Of another database, say: a backup.
  const ahead = await openFeed(disk, user, { query: "?after=1000000" });
  await expect.poll(() => ahead.told).toEqual(["reload"]);
});

test("a feed needs a session, and ends with it, at whatever gateway that ends", async () => {
  const disk = await startDisk({ services });
  const other = await disk.startNode(["account", "apigw"]);
  expect((await at(disk, "/api/events", {})).status).toBe(401);
  expect((await at(disk, "/api/events?after=x", {})).status).toBe(400);
  const user = await disk.user();
  const wrong = { headers: { ...user.headers, "last-event-id": "x" } };
  expect(await at(disk, "/api/events", wrong)).toMatchObject({ status: 400, body: { code: 10_001 } });
  const cookie = { cookie: `clouddisk_token=${user.token}`, "sec-fetch-site": "cross-site" };
  expect(await at(disk, "/api/events", { headers: cookie })).toMatchObject({ status: 403 });

  const stays = await disk.signin(user.name, password);
  const feeds = await Promise.all(
    [disk.url, other.httpAddress("apigw")].map((url) => openFeed(disk, user, { url })),
  );
  const kept = await openFeed(disk, stays);
  await at(disk, "/api/signout", { method: "POST", headers: user.headers });
  for (const feed of feeds) {
    await feed.ended;
    expect([feed.told, feed.retryMs]).toEqual([["ready", "signedOut"], undefined]);
  }
  await api(disk, stays)("POST", "/api/folders", { parentId: 0, name: "a" });
  await expect.poll(() => kept.told).toEqual(["ready", "added a"]);
});

test("a user has so many feeds at a gateway; one that is closed makes room", async () => {
  const disk = await startDisk({ services, conf: { "apigw.feeds": "3" } });
  const [user, other] = [await disk.user(), await disk.user()];
  const feeds = [];
  for (let count = 0; count < 3; count++) feeds.push(await openFeed(disk, user));
  expect(await at(disk, "/api/events", { headers: user.headers })).toEqual({
    status: 429,
    body: { code: 10_010, msg: expect.stringMatching(/at most 3 live change feeds .*apigw\.feeds/) },
  });
  expect((await openFeed(disk, other)).status).toBe(200);
  feeds[0]?.close();
  await expect.poll(async () => (await openFeed(disk, user)).status).toBe(200);
});

test("who does not read costs a bounded amount, and has all in order once he does", async () => {
  const disk = await startDisk({ services });
  const user = await disk.user();
  const slow = await openFeed(disk, user, { paused: true });
  const { database } = disk.node.host;
  const userId = (await database.run("user.find", { username: user.name })).user?.id ?? 0;
  // More than all buffers on the way have room for: 3,000 names of 1 KB each.
  const names = Array.from({ length: 3000 }, (_, index) => `${index} ${"\u{1F600}".repeat(60)}`);
  for (let start = 0; start < names.length; start += 500) {
    const some = names.slice(start, start + 500);
    await database.transaction(
      some.map((name) => ({
        name: "entry.createFolder",
        params: { userId, parentId: 0, name, reuse: false },
      })),
    );
  }
  const quick = await openFeed(disk, user, { query: "?after=0" });
  const wanted = ["ready", ...names.map((name) => `added ${name}`)];
  await expect.poll(() => quick.events.length).toBe(wanted.length);
  expect(quick.told).toEqual(wanted);
  expect(slow.events).toEqual([]);
  slow.resume();
  await expect.poll(() => slow.events.length).toBe(wanted.length);
  expect(slow.told).toEqual(wanted);
});

test("an upload in parts is told from its beginning, part by part, to its end, over processes too", async () => {
  const disk = await startDisk({ services: ["dbproxy", "apigw"], conf: { "upload.part": "64KiB" } });
  await disk.startProcess(["account"]);
  await disk.startProcess(["upload"]);
  const user = await disk.user();
  const feed = await openFeed(disk, user);
  const bytes = randomBytes(100_000);
  const filehash = createHash("sha256").update(bytes).digest("hex");
  const upload = async (path: string, body?: Uint8Array<ArrayBuffer>) => {
    const type = body && { "content-type": "application/octet-stream" };
    const headers = { ...user.headers, ...type };
    const reply = await fetch(disk.urlOf("upload") + path, {
      method: "POST",
      headers,
      ...(body && { body }),
    });
    return (await reply.json()) as Record<string, unknown>;
  };
  const begin = `/file/mpupload/init?filename=film&filehash=${filehash}&filesize=${bytes.length}`;
  const begun = await upload(begin);
  expect(begun).toMatchObject({ code: 0 });
  const { uploadID } = begun;
  await expect.poll(() => feed.told).toEqual(["ready", "upload 0/2 open"]);
  for (const index of [0, 1]) {
    const part = bytes.subarray(index * 65_536, (index + 1) * 65_536);
    expect(await upload(`/file/mpupload/uppart?uploadid=${uploadID}&index=${index}`, part)).toMatchObject({
      code: 0,
    });
    await expect.poll(() => feed.told.at(-1)).toEqual(`upload ${index + 1}/2 open`);
  }
  await upload(`/file/mpupload/complete?uploadid=${uploadID}`);
  await expect.poll(() => feed.told.slice(-2)).toEqual(["added film", "upload 2/2 done"]);
  const other = await upload(begin.replace("film", "other"));
  await upload(`/file/mpupload/cancel?uploadid=${other.uploadID}`);
  await expect.poll(() => feed.told.at(-1)).toBe("upload 0/2 cancelled");
});

test("of several account instances each tells what was changed through another; when one stops, its feeds go on", async () => {
  const disk = await startDisk({ services: ["dbproxy", "apigw"] });
  const accounts = [await disk.startNode(["account", "apigw"]), await disk.startNode(["account", "apigw"])];
  const user = await disk.user();
  const feeds = [];
  for (let count = 0; count < 6; count++) feeds.push(await openFeed(disk, user));
  const names = Array.from({ length: 8 }, (_, index) => `folder ${index}`);
  for (const name of names) await api(disk, user)("POST", "/api/folders", { parentId: 0, name });
  const before = ["ready", ...names.map((name) => `added ${name}`)];
  for (const feed of feeds) await expect.poll(() => feed.told).toEqual(before);
  await accounts[1]?.stop();
  await api(disk, user)("POST", "/api/folders", { parentId: 0, name: "after" });
  for (const feed of feeds) {
    await expect.poll(() => feed.told).toEqual([...before, "added after"]);
    expect(feed.retryMs).toBeUndefined();
  }
});

test("a gateway that stops ends its feeds with a time to come back", async () => {
  const disk = await startDisk({ services: ["dbproxy", "account"] });
  const gateway = await disk.startNode(["apigw"]);
  const feed = await openFeed(disk, await disk.user());
  await Promise.all([gateway.stop(), feed.ended]);
  expect(feed.told).toEqual(["ready"]);
  expect(feed.retryMs).toBeGreaterThanOrEqual(1000);
});
