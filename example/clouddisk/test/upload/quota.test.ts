import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { expect, it, vi } from "vitest";
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

it("what a user has left is asked once for many small files, and again when it seems not to be enough", async () => {
  const client = await poorClient("100KiB");
  const asked = vi.spyOn(client.disk.node.host.database, "run");
  const questions = (): number => asked.mock.calls.filter(([name]) => name === "user.get").length;
  // 60,000 bytes are taken off what is believed to be left, and then more than that is to come.
  for (let file = 0; file < 6; file++) {
    expect(await client.whole(`f${file}`, randomBytes(10_000))).toMatchObject({ code: 0 });
  }
  expect(questions()).toBeLessThan(6);
  expect(await client.whole("too much", randomBytes(50_000))).toMatchObject({ code: 10_009 });
  const { entries } = await client.get("/api/files");
  const ids = (entries as Array<{ id: number }>).map(({ id }) => id);
  const { headers } = client.user;
  for (const route of ["trash", "delete"]) {
    await fetch(`${client.disk.url}/api/files/batch/${route}`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ ids }),
    });
  }
  // At once: nothing that was believed before counts against it.
  expect(await client.whole("fits again", randomBytes(100_000))).toMatchObject({ code: 0 });
});
