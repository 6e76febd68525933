import { expect, test } from "vitest";
import { type Disk, startDisk, type User } from "../support/disk.js";

interface Reply {
  status: number;
  body: string;
  retryAfter: string | null;
}

async function get(url: string, init: RequestInit = {}): Promise<Reply> {
  const reply = await fetch(url, init);
  return { status: reply.status, body: await reply.text(), retryAfter: reply.headers.get("retry-after") };
}

/** A file of the user; the path to it. */
async function addFile(disk: Disk, { headers }: User, text: string): Promise<string> {
  const init = { method: "POST", headers, body: new TextEncoder().encode(text) };
  const reply = await fetch(`${disk.url}/file/upload?filename=file`, init);
  const { data } = (await reply.json()) as { data: { filehash: string } };
  return `/file/download?filehash=${data.filehash}`;
}

function expectTooMany({ status, body, retryAfter }: Reply, whose: string): void {
  expect(status).toBe(429);
  expect(JSON.parse(body)).toEqual({
    code: 10_010,
    msg: expect.stringMatching(new RegExp(`of this ${whose}: .*download\\.requestsperminute`)),
  });
  expect(Number(retryAfter)).toBeGreaterThan(0);
}

test("download routes take so many requests a minute from an address, whoever asks", async () => {
  const disk = await startDisk({ conf: { "download.requestsperminute": "4" } });
  const [one, other] = [await disk.user(), await disk.user()];
  const ones = disk.url + (await addFile(disk, one, "one"));
  const others = disk.url + (await addFile(disk, other, "other"));
  for (const [url, { headers }] of [
    [ones, one],
    [others, other],
  ] as const) {
    expect(await get(url, { headers })).toMatchObject({ status: 200 });
    // A range is a request, and so is one that asks for the head alone.
    expect(await get(url, { headers: { ...headers, range: "bytes=0-0" } })).toMatchObject({ status: 206 });
  }
  expectTooMany(await get(ones, { headers: one.headers }), "address");
  expect((await get(ones, { method: "HEAD", headers: one.headers })).status).toBe(429);
  // Other routes count for themselves.
  expect((await get(`${disk.url}/api/files`, { headers: one.headers })).status).toBe(200);
  expect((await disk.post("/file/fastupload", { filename: "x", filehash: "0".repeat(64) }, one)).code).toBe(
    -1,
  );
});

test("and so many from a user, wherever he asks from and by signed URLs too", async () => {
  const conf = { "download.requestsperminute": "4", "apigw.trustedproxies": "127.0.0.1" };
  const disk = await startDisk({ conf });
  const [user, other] = [await disk.user(), await disk.user()];
  const path = await addFile(disk, user, "the file");
  let machine = 0;
  const from = (headers: Record<string, string> = {}): RequestInit => ({
    headers: { ...headers, "x-forwarded-for": `192.0.2.${++machine}` },
  });
  const form = { filehash: new URLSearchParams(path.split("?")[1]).get("filehash") ?? "" };
  const { url } = await disk.post("/file/downloadurl", form, user);
  for (let count = 0; count < 2; count++) {
    expect((await get(String(url), from())).status).toBe(200);
  }
  expect((await get(disk.url + path, from(user.headers))).status).toBe(200);
  expectTooMany(await get(disk.url + path, from(user.headers)), "user");
  expectTooMany(await get(String(url), from()), "user");
  expect((await get(disk.url + path, from(other.headers))).status).toBe(404);
  // Nobody's requests are no user's.
  expect((await get(disk.url + path, from())).status).toBe(401);
});
