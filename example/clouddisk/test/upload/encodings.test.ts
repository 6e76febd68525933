import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { Client, partBytes, replyOf, sha256 } from "./support.js";

/** Bodies that are compressed, or say so. */

let disk: Disk;
let user: User;
let client: Client;
beforeAll(async () => {
  disk = await startDisk({ keep: true, conf: { "upload.part": String(partBytes) } });
  user = await disk.user();
  client = new Client(disk, user);
});
afterAll(() => disk.stop());

const post = (path: string, type: string, encoding: string, body: Buffer) =>
  fetch(disk.url + path, {
    method: "POST",
    headers: { ...user.headers, "content-type": type, "content-encoding": encoding },
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(10_000),
  });

it.each<[string, () => Promise<[path: string, type: string, body: Buffer]>]>([
  ["a small file", async () => ["/file/upload?filename=a", "application/octet-stream", randomBytes(100)]],
  [
    "a large file",
    async () => ["/file/upload?filename=b", "application/octet-stream", randomBytes(3_000_000)],
  ],
  [
    "a part",
    async () => {
      const data = randomBytes(partBytes);
      const id = await client.begin(data);
      const path = `/file/mpupload/uppart?uploadid=${id}&index=0&chkhash=${sha256(data)}`;
      return [path, "application/octet-stream", data];
    },
  ],
  ["JSON", async () => ["/api/folders", "application/json", Buffer.from('{"parentId":0,"name":"a"}')]],
  [
    "JSON that is short only while compressed",
    async () => ["/file/query", "application/json", Buffer.alloc(50_000_000, 32)],
  ],
])("%s that is compressed is refused whole, and nothing of it is kept", async (_what, make) => {
  const [path, type, body] = await make();
  for (const [encoding, sent] of [
    ["gzip", gzipSync(body)],
    ["GZIP, identity", gzipSync(body)],
    ["made-up", body.subarray(0, 1000)],
  ] as const) {
    const reply = await post(path, type, encoding, sent);
    expect([reply.status, reply.headers.get("accept-encoding")], encoding).toEqual([415, "identity"]);
    expect(await reply.json()).toEqual({ code: 10_001, msg: expect.stringContaining("Content-Encoding") });
  }
  const listed = await fetch(`${disk.url}/api/files`, { headers: user.headers });
  expect(await listed.json()).toMatchObject({ entries: [] });
});

it("a compressed file is kept byte by byte where nobody says that it is one", async () => {
  const data = gzipSync(randomBytes(100_000));
  for (const [at, encoding] of ["identity", " Identity "].entries()) {
    const path = `/file/upload?filename=${at}.gz`;
    const sent = await replyOf(post(path, "application/octet-stream", encoding, data));
    expect(sent.data).toMatchObject({ filehash: sha256(data), filesize: data.length });
  }
});
