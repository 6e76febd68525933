import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { MariadbServer } from "../support/mariadb.js";
import { RedisServer } from "../support/redis.js";

const partBytes = 65_536;
let mariadb: MariadbServer;
let redis: RedisServer;
let disk: Disk;
let user: User;

beforeAll(async () => {
  [mariadb, redis] = await Promise.all([MariadbServer.start(), RedisServer.start()]);
  const conf = {
    "database.url": await mariadb.createDatabase(),
    "progress.url": redis.url,
    "upload.part": "64KiB",
  };
  disk = await startDisk({ keep: true, conf });
  user = await disk.user();
});
afterAll(async () => {
  await disk?.stop();
  await Promise.all([mariadb?.close(), redis?.close()]);
});

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

function uppart(id: unknown, index: number, data: Buffer): Promise<Response> {
  const body = new Uint8Array(data.subarray(index * partBytes, (index + 1) * partBytes));
  const url = `${disk.url}/file/mpupload/uppart?uploadid=${id}&index=${index}`;
  return fetch(url, { method: "POST", body, headers: user.headers });
}

test("an upload over MariaDB and Redis outlasts a stop of each, and comes out as it went in", async () => {
  const data = randomBytes(4 * partBytes + 3);
  const file = { filename: "prod.bin", filehash: sha256(data), filesize: data.length };
  const { uploadID: id } = await disk.post("/file/mpupload/init", file, user);
  expect((await uppart(id, 0, data)).status).toBe(200);

  await redis.end("SIGTERM");
  const away = await uppart(id, 1, data);
  expect([away.status, ((await away.json()) as { code: number }).code]).toEqual([503, 10_002]);
  await redis.restart();
  await expect.poll(async () => (await uppart(id, 1, data)).status).toBe(200);

  await mariadb.end("SIGKILL");
  const refused = await uppart(id, 2, data);
  expect([refused.status, ((await refused.json()) as { code: number }).code]).toEqual([503, 10_002]);
  await mariadb.restart();
  await expect.poll(async () => (await uppart(id, 2, data)).status).toBe(200);

  for (const index of [3, 4]) expect((await uppart(id, index, data)).status).toBe(200);
  expect(await disk.post("/file/mpupload/complete", { uploadid: String(id) }, user)).toMatchObject({
    code: 0,
  });
  const reply = await fetch(`${disk.url}/file/download?filehash=${sha256(data)}`, { headers: user.headers });
  expect(sha256(Buffer.from(await reply.arrayBuffer()))).toBe(sha256(data));
});
