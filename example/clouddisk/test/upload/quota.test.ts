import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { expect, it } from "vitest";
import { startDisk } from "../support/disk.js";
import { Client, partBytes, partOf, sha256 } from "./support.js";

async function poorClient(quota: string): Promise<Client> {
  const disk = await startDisk({ conf: { "upload.part": "64KiB", "account.quota": quota } });
  return new Client(disk, await disk.user());
}

async function usedBytes(client: Client): Promise<unknown> {
  const { user } = await client.get("/api/me");
  return Reflect.get(user as object, "usedBytes");
}

it("uploads begun at once get no more of it together than there is", async () => {
  const client = await poorClient("200KiB");
  const replies = await Promise.all(
    Array.from({ length: 10 }, (_, at) => client.init(Buffer.alloc(60_000, at), `f${at}`)),
  );
  expect(replies.map(({ code }) => code).sort()).toEqual([0, 0, 0, ...Array(7).fill(10_009)]);
});

it("an upload that no longer fits when it is complete keeps its bytes, and goes on when there is room", async () => {
  const client = await poorClient("192KiB");
  const data = randomBytes(2 * partBytes);
  const id = await client.begin(data, "waits");
  for (const index of [0, 1]) await client.uppart(id, index, partOf(data, index));
  const taken = await client.whole("takes the room", randomBytes(partBytes + 1));
  expect(taken).toMatchObject({ code: 0 });
  for (let again = 0; again < 2; again++) {
    expect(await client.complete(id)).toMatchObject({ http: 413, code: 10_009 });
  }
  expect(await usedBytes(client)).toBe(partBytes + 1);
  const { headers } = client.user;
  const remove = (path: string) =>
    fetch(`${client.disk.url}${path}/${taken.data.id}`, { method: "DELETE", headers });
  expect([(await remove("/api/files")).status, (await remove("/api/trash")).status]).toEqual([200, 200]);
  expect(await client.complete(id)).toMatchObject({ code: 0 });
  expect(await client.complete(id)).toMatchObject({ code: 0 });
  expect(await usedBytes(client)).toBe(data.length);
  expect(sha256(await client.download(sha256(data)))).toBe(sha256(data));
});

it("a body for which there is no room is refused before all of it fills the disk", async () => {
  const client = await poorClient("100KiB");
  expect(await client.whole("exact", randomBytes(102_400))).toMatchObject({ code: 0 });
  expect(await client.whole("one more", Buffer.from("x"))).toMatchObject({ http: 413, code: 10_009 });
  expect(await client.whole("none", Buffer.alloc(0))).toMatchObject({ code: 0 });
  // Of an endless one the reply can only come before its end.
  const url = `${client.disk.url}/file/upload?filename=endless`;
  const sent = request(url, { method: "POST", headers: client.user.headers });
  sent.on("error", () => {});
  sent.write(randomBytes(200_000));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(413);
  sent.destroy();
  expect(await client.tempFiles()).toEqual([]);
  expect(await usedBytes(client)).toBe(102_400);
});
