import { createHash, randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Staging } from "../../src/common/staging.js";
import { Tickets } from "../../src/common/tickets.js";
import { DownloadServiceStub } from "../../src/download/gen/download.js";
import { openStore } from "../../src/store/index.js";
import { type Disk, password, startDisk, type User } from "../support/disk.js";

let disk: Disk;
let owner: User;

beforeAll(async () => {
  // Without transfer: what is staged stays staged.
  disk = await startDisk({ keep: true, services: ["dbproxy", "account", "download", "apigw"] });
  owner = await disk.user("owner");
});
afterAll(() => disk.stop());

const sha256 = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");

/** A file of the user, staged as upload leaves it. */
async function addFile(user: User, name: string, data: Buffer): Promise<string> {
  const fileHash = sha256(data);
  const staged = new Staging(disk.dataFolder).content(fileHash);
  await mkdir(path.dirname(staged), { recursive: true });
  await writeFile(staged, data);
  const { database, settings } = disk.node.host;
  const found = await database.run("user.find", { username: user.name });
  const added = await database.run("upload.whole", {
    userId: found.user?.id ?? 0,
    parentId: 0,
    name,
    fileHash,
    sizeBytes: data.length,
    node: settings.node,
    onConflict: "rename",
  });
  expect(added.outcome).toBe("ok");
  return fileHash;
}

function get(fileHash: string, headers: Record<string, string> = {}, user = owner): Promise<Response> {
  return fetch(`${disk.url}/file/download?filehash=${fileHash}`, {
    headers: { ...user.headers, ...headers },
  });
}

async function json(reply: Response): Promise<Record<string, unknown>> {
  return (await reply.json()) as Record<string, unknown>;
}

async function bytes(reply: Response): Promise<Buffer> {
  return Buffer.from(await reply.arrayBuffer());
}

it("gives a file with its hash as tag, its name and its length; HEAD the same without it", async () => {
  const data = randomBytes(1_500_000);
  const hash = await addFile(owner, '张"三\\ .txt', data);
  const reply = await get(hash);
  expect(reply.status).toBe(200);
  expect(reply.headers.get("etag")).toBe(`"${hash}"`);
  expect(reply.headers.get("content-length")).toBe("1500000");
  expect(reply.headers.get("content-type")).toBe("application/octet-stream");
  expect(reply.headers.get("content-disposition")).toMatch(
    /^attachment; filename="[\x20-\x7e]+"; filename\*=UTF-8''%E5%BC%A0/,
  );
  expect((await bytes(reply)).equals(data)).toBe(true);
  const head = await fetch(`${disk.url}/file/download?filehash=${hash}`, {
    method: "HEAD",
    headers: owner.headers,
  });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "1500000"]);
  expect((await bytes(head)).length).toBe(0);
  expect((await get(hash, { "if-none-match": `"${hash}"` })).status).toBe(304);
});

it("may be framed where it is saved, not where it is shown or refused", async () => {
  const hash = await addFile(owner, "framed.txt", Buffer.from("framed"));
  const policies = async (query: string, filehash = hash) => {
    const url = `${disk.url}/file/download?filehash=${filehash}${query}`;
    const { headers } = await fetch(url, { headers: owner.headers });
    return [headers.get("x-frame-options"), headers.get("content-security-policy")];
  };
  const never = ["DENY", "default-src 'none'; frame-ancestors 'none'; sandbox"];
  expect(await policies("")).toEqual([null, "default-src 'none'; sandbox"]);
  expect(await policies("&inline=1")).toEqual(never);
  expect(await policies("", "0".repeat(64))).toEqual(never);
});

it("gives sixteen ranges at once, identical to the whole", async () => {
  const data = randomBytes(4_000_001);
  const hash = await addFile(owner, "parallel", data);
  const size = Math.ceil(data.length / 16);
  const parts = await Promise.all(
    Array.from({ length: 16 }, async (_, at) => {
      const reply = await get(hash, {
        range: `bytes=${at * size}-${(at + 1) * size - 1}`,
        "if-range": `"${hash}"`,
      });
      expect(reply.status).toBe(206);
      return bytes(reply);
    }),
  );
  expect(sha256(Buffer.concat(parts))).toBe(hash);
  const beyond = await get(hash, { range: "bytes=4000001-" });
  expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */4000001"]);
  expect((await json(beyond)).code).toBe(10_001);
});

it("gives an empty file", async () => {
  const hash = await addFile(owner, "empty", Buffer.alloc(0));
  const reply = await get(hash);
  expect([reply.status, reply.headers.get("content-length"), (await bytes(reply)).length]).toEqual([
    200,
    "0",
    0,
  ]);
});

it("gives nothing to whoever only knows the hash, and nothing without a token", async () => {
  const hash = await addFile(owner, "private", Buffer.from("private"));
  const thief = await disk.user("thief");
  const stolen = await get(hash, {}, thief);
  expect([stolen.status, (await json(stolen)).code]).toEqual([404, 10_007]);
  expect(await disk.post("/file/downloadurl", { filehash: hash }, thief)).toMatchObject({ code: 10_007 });
  const nobody = await fetch(`${disk.url}/file/download?filehash=${hash}`);
  expect([nobody.status, (await json(nobody)).code]).toEqual([401, 10_005]);
  expect(await disk.post("/file/downloadurl", { filehash: hash })).toMatchObject({ code: 10_005 });
  const strange = await get("../../etc/passwd");
  expect([strange.status, (await json(strange)).code]).toEqual([400, 10_001]);
});

it("signs URLs that need no token, until they expire or the file is gone", async () => {
  const hash = await addFile(owner, "signed.html", Buffer.from("<script>alert(1)</script>"));
  const signed = await disk.post("/file/downloadurl", { filehash: hash, inline: 1 }, owner);
  const { url } = signed.data as { url: string };
  const reply = await fetch(url);
  expect(await reply.text()).toBe("<script>alert(1)</script>");
  // A page of a user is never a page of ours.
  expect(reply.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(reply.headers.get("content-disposition")).toBe('inline; filename="signed.html"');
  expect(reply.headers.get("content-security-policy")).toContain("sandbox");
  const forged = await fetch(url.replace(/ticket=.{5}/, "ticket=AAAAA"));
  expect((await json(forged)).code).toBe(10_005);
  const { database } = disk.node.host;
  const { user } = await database.run("user.find", { username: owner.name });
  const userId = user?.id ?? 0;
  const { entry } = await database.run("entry.byHash", { userId, fileHash: hash });
  await database.run("entry.trash", { userId, id: entry?.id ?? 0 });
  const gone = await fetch(url);
  expect([gone.status, (await json(gone)).code]).toEqual([404, 10_007]);
});

it("sends text as it is, whatever the client could unpack: ranges count its bytes", async () => {
  const data = Buffer.from("text ".repeat(1000));
  const hash = await addFile(owner, "text.txt", data);
  for (const query of ["", "&inline=1"]) {
    const reply = await fetch(`${disk.url}/file/download?filehash=${hash}${query}`, {
      headers: { ...owner.headers, "accept-encoding": "br, gzip" },
    });
    expect(reply.headers.get("content-encoding")).toBeNull();
    expect(reply.headers.get("content-length")).toBe(String(data.length));
    expect(sha256(await bytes(reply))).toBe(hash);
  }
});

it("ends tickets and signed URLs with the session they were made for", async () => {
  const hash = await addFile(owner, "bound", randomBytes(100));
  const again = await disk.signin(owner.name, password);
  const me = await fetch(`${disk.url}/api/me`, { headers: again.headers });
  const { downloadTicket } = await json(me);
  const form = new URLSearchParams({ filehash: hash });
  const signed = await fetch(`${disk.url}/file/downloadurl`, {
    method: "POST",
    body: form,
    headers: again.headers,
  });
  const url = String((await json(signed)).url);
  const tries = () =>
    Promise.all([
      fetch(`${disk.url}/file/download?filehash=${hash}&ticket=${String(downloadTicket)}`),
      fetch(url),
    ]);
  expect((await tries()).map(({ status }) => status)).toEqual([200, 200]);
  await fetch(`${disk.url}/api/signout`, { method: "POST", headers: again.headers });
  expect((await tries()).map(({ status }) => status)).toEqual([401, 401]);
  // Another sign-in of the same user is none of its business.
  expect((await get(hash)).status).toBe(200);
});

it("refuses a signed URL that has expired", async () => {
  const short = await startDisk({
    conf: { "download.urlttl": "1s" },
    services: ["dbproxy", "account", "download", "apigw"],
  });
  const tickets = new Tickets(short.node.host.database, undefined);
  const ticket = await tickets.sign({
    kind: "file",
    userId: 1,
    username: "x",
    session: sha256("session"),
    expiresAtMs: Date.now() - 1,
    fileHash: sha256("x"),
  });
  const reply = await fetch(`${short.url}/file/download?ticket=${ticket}`);
  expect([reply.status, (await json(reply)).msg]).toEqual([401, "the ticket has expired"]);
});

it("falls over to the store when the staged copy is gone, and says so when neither has it", async () => {
  const data = randomBytes(300_000);
  const hash = await addFile(owner, "stored", data);
  const staged = new Staging(disk.dataFolder).content(hash);
  const store = await openStore(disk.node.settings);
  await store.put(hash, data.length, staged);
  await rm(staged);
  expect(sha256(await bytes(await get(hash)))).toBe(hash);
  await store.delete(hash);
  const reply = await get(hash);
  expect([reply.status, reply.headers.get("retry-after"), (await json(reply)).code]).toEqual([
    503,
    "2",
    10_002,
  ]);
  expect(reply.headers.get("etag")).toBeNull();
});

it("closes the file of a client that goes away midway", async () => {
  const hash = await addFile(owner, "left", randomBytes(30_000_000));
  const { hostname, port } = new URL(disk.url);
  const socket = connect(Number(port), hostname);
  const { authorization } = owner.headers;
  socket.write(
    `GET /file/download?filehash=${hash} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`,
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  socket.destroy();
  // The log line of a request comes when its reply is over, here cut off.
  await expect.poll(() => disk.log.lines.some((line) => line.fields?.aborted === true)).toBe(true);
  expect(sha256(await bytes(await get(hash)))).toBe(hash);
});

it("tells a digest only of what is asked, within the content", async () => {
  const data = randomBytes(1000);
  const hash = await addFile(owner, "digest", data);
  const stub = new DownloadServiceStub(disk.node.host.channel);
  const ranges = [
    { offset: 10, lengthBytes: 5 },
    { offset: 990, lengthBytes: 10 },
  ];
  const { digest } = await stub.digest({ fileHash: hash, nonce: "n", ranges });
  expect(digest).toBe(sha256(Buffer.concat([Buffer.from("n"), data.subarray(10, 15), data.subarray(990)])));
  const beyond = await stub.digest({ fileHash: hash, nonce: "n", ranges: [{ offset: 999, lengthBytes: 2 }] });
  expect(beyond.code).toBe(10_001);
  const entry = await stub.downloadEntry({ userId: 1, username: "x" });
  expect(entry).toMatchObject({ code: 0, entry: "" });
});
