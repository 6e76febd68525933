import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Staging } from "../../src/common/staging.js";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { Client, partBytes, partOf, type Reply, replyOf, sha256 } from "./support.js";

const fileMaxBytes = 2 * 1024 * 1024;
const conf = { "upload.part": "64KiB", "upload.filemax": "2MiB", "account.quota": "1GiB" };

let disk: Disk;
let user: User;
let client: Client;
beforeAll(async () => {
  disk = await startDisk({ keep: true, conf });
  user = await disk.user();
  client = new Client(disk, user);
});
afterAll(() => disk.stop());

/** A part of unknown length. */
async function sendChunked(id: string, index: number, chunks: readonly Buffer[]): Promise<Reply> {
  const url = `${disk.url}/file/mpupload/uppart?uploadid=${id}&index=${index}`;
  const sending = request(url, { method: "POST", headers: user.headers });
  for (const chunk of chunks) sending.write(chunk);
  sending.end();
  const [response] = await once(sending, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { ...JSON.parse(text), http: response.statusCode };
}

async function present(id: string): Promise<unknown> {
  return (await client.get(`/file/mpupload/status?uploadid=${id}`)).chunkexists;
}

describe("without a token, or with a wrong one", () => {
  const uploadid = "0".repeat(32);
  const routes: ReadonlyArray<readonly [method: string, route: string]> = [
    ["POST", "/file/upload?filename=x"],
    ["POST", `/file/fastupload?filename=x&filehash=${"0".repeat(64)}`],
    ["GET", "/api/uploads"],
    ...["/file/mpupload", "/file/mupload"].flatMap(
      (base): Array<[string, string]> => [
        ["POST", `${base}/init?filename=x&filesize=1&filehash=${"0".repeat(64)}`],
        ["POST", `${base}/uppart?uploadid=${uploadid}&index=0`],
        ["POST", `${base}/complete?uploadid=${uploadid}`],
        ["GET", `${base}/complete?uploadid=${uploadid}`],
        ["POST", `${base}/cancel?uploadid=${uploadid}`],
        ["GET", `${base}/status?uploadid=${uploadid}`],
      ],
    ),
  ];

  it.each(routes)("%s %s is refused", async (method, route) => {
    const refused = { http: 401, code: 10_005 };
    const send = (headers: Record<string, string>) => replyOf(fetch(disk.url + route, { method, headers }));
    expect(await send({})).toMatchObject(refused);
    expect(await send({ authorization: `Bearer ${"A".repeat(43)}` })).toMatchObject(refused);
    expect(await send({ "x-ticket": "e30.e30" })).toMatchObject(refused);
  });
});

describe("a part", () => {
  it("of unknown length that is short or too long is not there, and blocks nobody", async () => {
    const data = randomBytes(2 * partBytes);
    const id = await client.begin(data);
    const part = partOf(data, 0);
    const refused = { http: 400, code: 10_001 };
    expect(await sendChunked(id, 0, [part.subarray(1)])).toMatchObject(refused);
    expect(await sendChunked(id, 0, [])).toMatchObject(refused);
    expect(await sendChunked(id, 0, [part, Buffer.from("x")])).toMatchObject(refused);
    expect(await present(id)).toEqual([]);
    expect(await sendChunked(id, 0, [part.subarray(0, 7), part.subarray(7)])).toMatchObject({ code: 0 });
    // Also when it is there already.
    expect(await sendChunked(id, 0, [part.subarray(1)])).toMatchObject(refused);
    expect(await sendChunked(id, 0, [part, Buffer.from("x")])).toMatchObject(refused);
    expect(await present(id)).toEqual([0]);
  });

  it("that is too long does not reach into the next one", async () => {
    const data = randomBytes(2 * partBytes);
    const id = await client.begin(data);
    expect(await client.uppart(id, 1, partOf(data, 1))).toMatchObject({ code: 0 });
    expect(await sendChunked(id, 0, [partOf(data, 0), randomBytes(partBytes)])).toMatchObject({ http: 400 });
    expect(await client.uppart(id, 0, partOf(data, 0))).toMatchObject({ code: 0 });
    expect(await client.complete(id)).toMatchObject({ code: 0 });
  });

  it("has one index, a whole number of the upload's, and one upload id", async () => {
    const data = randomBytes(partBytes);
    const id = await client.begin(data);
    for (const more of ["&index=0", "&chkhash=a&chkhash=b"]) {
      expect(await client.uppart(id, 0, data, more)).toMatchObject({ http: 400, code: 10_001 });
    }
    for (const index of ["1", "0x0", "1e9", "9".repeat(15), "9".repeat(30), "0.0", "..%2F0", "0\0"]) {
      expect(await client.uppart(id, index, data), index).toMatchObject({ http: 400, code: 10_001 });
    }
    for (const strange of ["../../../etc/passwd", `../parts/${id}`, `${id}/../${id}`, id.toUpperCase()]) {
      if (strange === id) continue;
      expect(await client.uppart(strange, 0, data), strange).toMatchObject({ http: 404, code: 10_007 });
    }
    expect(await client.uppart(id, 0, data, `&uploadid=${id}`)).toMatchObject({ http: 400, code: 10_001 });
    expect(await present(id)).toEqual([]);
  });

  it("sent by many at once is written by one; wrong bytes among them change nothing", async () => {
    const data = randomBytes(partBytes);
    const id = await client.begin(data);
    const hash = `&chkhash=${sha256(data)}`;
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        client.uppart(id, 0, at % 2 === 0 ? data : randomBytes(partBytes), hash),
      ),
    );
    for (const { code } of replies) expect([0, -2]).toContain(code);
    expect(replies.filter((_, at) => at % 2 === 1).every(({ code }) => code === -2)).toBe(true);
    expect(await client.uppart(id, 0, data, hash)).toMatchObject({ code: 0 });
    expect(await client.complete(id)).toMatchObject({ code: 0 });
    expect(await client.rows(sha256(data))).toBe(1);
  });
});

describe("what is said of a file", () => {
  const init = (body: object): Promise<Reply> =>
    replyOf(
      fetch(`${disk.url}/file/mpupload/init`, {
        method: "POST",
        headers: { ...user.headers, "content-type": "application/json" },
        body: JSON.stringify({ filename: "f", filehash: sha256("f"), ...body }),
      }),
    );

  it.each([
    [2 ** 53],
    [2 ** 60],
    [-1],
    [0.5],
    [Number.NaN],
    [null],
    [[1]],
    [{}],
    [true],
    ["1 "],
    ["Infinity"],
  ])("a filesize of %j is none", async (filesize) => {
    expect(await init({ filesize })).toMatchObject({ http: 400, code: 10_001 });
  });

  it.each(["../x", "..", "a/b", "x\0y", ["a", "b"], { toString: "x" }, 7])(
    "a filename of %j is none",
    async (filename) => {
      expect(await init({ filename, filesize: 1 })).toMatchObject({ http: 400, code: 10_001 });
      const body = JSON.stringify({ filename, filehash: sha256("f") });
      const headers = { ...user.headers, "content-type": "application/json" };
      const sent = fetch(`${disk.url}/file/fastupload`, { method: "POST", headers, body });
      expect(await replyOf(sent)).toMatchObject({ http: 400, code: 10_001 });
    },
  );

  it("nothing of length 0 has another hash than nothing", async () => {
    const { uploadID } = await init({ filesize: 0, filehash: sha256("not nothing") });
    expect(await client.complete(String(uploadID))).toMatchObject({ http: 200, code: -1 });
    expect(await client.rows(sha256("not nothing"))).toBe(0);
  });

  it("must agree with what the upload began with", async () => {
    const data = randomBytes(partBytes);
    const uploadid = await client.begin(data);
    expect(await client.uppart(uploadid, 0, data)).toMatchObject({ code: 0 });
    const refused = { http: 400, code: 10_001 };
    const complete = (more: Record<string, string | number>) =>
      client.post("/file/mpupload/complete", { uploadid, ...more });
    expect(await complete({ filehash: sha256("else") })).toMatchObject(refused);
    expect(await complete({ filesize: data.length + 1 })).toMatchObject(refused);
    expect(await complete({ filehash: sha256(data), filesize: data.length })).toMatchObject({ code: 0 });
  });
});

describe("a content that somebody else has", () => {
  let hash: string;
  let data: Buffer;
  let thief: User;
  beforeAll(async () => {
    data = randomBytes(3 * partBytes);
    hash = sha256(data);
    expect(await client.whole("secret", data)).toMatchObject({ code: 0 });
    thief = await disk.user();
    const { database } = disk.node.host;
    const stored = async () => {
      const { content } = await database.run("content.get", { fileHash: hash });
      expect(content?.state).toBe("stored");
    };
    await vi.waitFor(stored, { timeout: 15_000 });
  });

  it("is not had by completing an upload without its parts", async () => {
    const begun = await client.init(data, "mine", thief);
    expect(begun).toMatchObject({ code: 0, chunkexists: [] });
    const id = String(begun.uploadID);
    expect(await client.complete(id, thief)).toMatchObject({ http: 200, code: -2 });
    // Some bytes or other of the right length are not enough.
    for (const index of [0, 1, 2]) {
      expect(await client.uppart(id, index, randomBytes(partBytes), "", thief)).toMatchObject({ code: 0 });
    }
    expect(await client.complete(id, thief)).toMatchObject({ http: 200, code: -1 });
    expect(await client.rows(hash, thief)).toBe(0);
  });

  it("is not had by its hash in a form, nor changed by other bytes under it", async () => {
    const form = new FormData();
    form.set("filehash", hash);
    form.set("file", new Blob(["poison"]), "mine");
    expect(await client.form(form, thief)).toMatchObject({ http: 200, code: -1 });
    expect(await client.rows(hash, thief)).toBe(0);
    expect((await client.download(hash)).equals(data)).toBe(true);
  });

  it("is not given by a ticket or a token of somebody else", async () => {
    const query = `filehash=${hash}`;
    const stolen = `${query}&username=${user.name}&token=${thief.token}`;
    for (const one of [query, stolen]) {
      const reply = await fetch(`${disk.url}/file/download?${one}`, { headers: thief.headers });
      expect([404, 401]).toContain(reply.status);
    }
    expect(await client.post("/file/downloadurl", { filehash: hash }, thief)).toMatchObject({ http: 404 });
  });
});

describe("a form", () => {
  const formOf = (file: Uint8Array, name = "form.bin"): FormData => {
    const form = new FormData();
    form.set("file", new Blob([new Uint8Array(file)]), name);
    return form;
  };

  it("is taken whole up to [upload] filemax, never cut", async () => {
    const largest = randomBytes(fileMaxBytes);
    expect(await client.form(formOf(largest))).toMatchObject({ code: 0, data: { filesize: fileMaxBytes } });
    expect((await client.download(sha256(largest))).equals(largest)).toBe(true);
    const large = randomBytes(fileMaxBytes + 1);
    expect(await client.form(formOf(large))).toMatchObject({ http: 413, code: 10_009 });
    expect(await client.rows(sha256(large))).toBe(0);
    expect(await client.rows(sha256(large.subarray(0, fileMaxBytes)))).toBe(0);
    expect(await client.tempFiles()).toEqual([]);
  });

  it("names a file, not a place", async () => {
    expect(await client.form(formOf(randomBytes(9), "../../../evil"))).toMatchObject({
      code: 0,
      data: { filename: "evil" },
    });
    const form = new FormData();
    form.set("filename", "../evil");
    form.set("file", new Blob(["x"]), "good");
    expect(await client.form(form)).toMatchObject({ http: 400, code: 10_001 });
    expect(await client.tempFiles()).toEqual([]);
  });
});

it("an upload whose parts got lost is not complete, whoever has the content", async () => {
  const data = randomBytes(partBytes);
  const known = await client.whole("known", data);
  expect(known).toMatchObject({ code: 0 });
  const thief = await disk.user();
  const id = String((await client.init(data, "lost", thief)).uploadID);
  const { partsFolder } = new Staging(disk.dataFolder);
  expect(await readdir(partsFolder)).toContain(id);
  await rm(new Staging(disk.dataFolder).parts(id));
  expect(await client.complete(id, thief)).toMatchObject({ http: 200, code: -2 });
  expect(await client.rows(sha256(data), thief)).toBe(0);
  // They can be sent again.
  expect(await client.uppart(id, 0, data, "", thief)).toMatchObject({ code: 0 });
  expect(await client.complete(id, thief)).toMatchObject({ code: 0 });
});

it("tokens and tickets are in no log, wherever they stood", async () => {
  const { name: username, token } = await disk.user();
  const query = `username=${username}&token=${token}`;
  const data = randomBytes(100);
  const send = (route: string, init: RequestInit = {}) =>
    fetch(disk.url + route, { method: "POST", ...init });
  const body = new Uint8Array(data);
  expect((await send(`/file/upload?filename=logged&${query}`, { body })).status).toBe(200);
  expect((await send(`/file/upload?filename=../x&${query}`, { body })).status).toBe(400);
  const form = new FormData();
  form.set("token", token);
  form.set("file", new Blob(["x"]), "x");
  await send(`/file/upload?${query}`, { body: form });
  await send("/file/mpupload/init", { body: new URLSearchParams({ username, token, filename: "" }) });
  await send(`/file/mpupload/uppart?uploadid=x&index=0&${query}`, { body });
  await send(`/file/mpupload/complete?uploadid=${"0".repeat(32)}&${query}`);
  await fetch(`${disk.url}/file/download?filehash=${sha256(data)}&${query}`);
  const signed = await client.post("/file/downloadurl", { filehash: sha256(data), username, token }, null);
  const ticket = new URL(String(signed.url)).searchParams.get("ticket") ?? "";
  expect((await fetch(String(signed.url))).status).toBe(200);
  await fetch(`${disk.url}/api/uploads`, { headers: { "x-ticket": `${ticket}x` } });
  const log = (): string => JSON.stringify(disk.log.lines);
  await expect.poll(log).toContain('"path":"/api/uploads"');
  expect(log()).not.toContain(token);
  expect(log()).not.toContain(sha256(token));
  expect(ticket.length).toBeGreaterThan(20);
  for (const half of ticket.split(".")) expect(log()).not.toContain(half);
});
