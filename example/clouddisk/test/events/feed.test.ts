import { expect, onTestFinished, test, vi } from "vitest";
import { startServer } from "../../../../test/broker/servers.js";
import { openFeed } from "../apigw/feed-reader.js";
import { api } from "../apigw/support.js";
import { type Disk, startDisk, type User } from "../support/disk.js";

const arriving = (disk: Disk): number =>
  disk.log.lines.filter(({ text }) => text === "messages of clouddisk.changes arrive").length;

async function folder(disk: Disk, user: User, name: string): Promise<void> {
  expect(await api(disk, user)("POST", "/api/folders", { parentId: 0, name })).toMatchObject({ status: 200 });
}

test("instances of account tell what was changed through another, by messages alone", async () => {
  const server = await startServer("redis");
  onTestFinished(() => server.close());
  const broker = `redis://127.0.0.1:${server.port}/0?prefix=feed`;
  // The database is asked once an hour.
  const disk = await startDisk({
    services: ["dbproxy", "apigw"],
    conf: { broker, "clouddisk.sweep": "1h" },
  });
  await disk.startNode(["account"]);
  await disk.startNode(["account"]);
  await vi.waitUntil(() => arriving(disk) === 2, { timeout: 20_000 });
  const user = await disk.user();
  const feeds = [];
  // Taken in turn: some on either instance.
  for (let count = 0; count < 6; count++) feeds.push(await openFeed(disk, user));
  const names = Array.from({ length: 8 }, (_, index) => `folder ${index}`);
  for (const name of names) await folder(disk, user, name);
  for (const feed of feeds) {
    await expect.poll(() => feed.told).toEqual(["ready", ...names.map((name) => `added ${name}`)]);
  }

  // Without the broker the database is asked as often as if there were none, and when it is back it is asked once more.
  await server.kill();
  await folder(disk, user, "while it is away");
  for (const feed of feeds) await expect.poll(() => feed.told.at(-1)).toBe("added while it is away");
  await server.start();
  await vi.waitUntil(() => arriving(disk) === 4, { timeout: 20_000 });
  await folder(disk, user, "after");
  for (const feed of feeds) await expect.poll(() => feed.told.at(-1)).toBe("added after");

  await api(disk, user)("POST", "/api/signout", {});
  for (const feed of feeds) await expect.poll(() => feed.told.at(-1)).toBe("signedOut");
});

test("in one process memory: carries both; with services elsewhere it is refused", async () => {
  const disk = await startDisk({ conf: { broker: "memory:", "clouddisk.sweep": "1h" } });
  const user = await disk.user();
  const feed = await openFeed(disk, user);
  const reply = await fetch(`${disk.url}/file/upload?filename=a`, {
    method: "POST",
    headers: { ...user.headers, "content-type": "application/octet-stream" },
    body: "content",
  });
  expect(await reply.json()).toMatchObject({ code: 0 });
  await expect.poll(() => feed.told).toEqual(["ready", "added a"]);
  await vi.waitFor(
    async () => {
      const depth = await disk.node.host.database.run("outbox.depth", {});
      expect(depth).toEqual({ waiting: 0, running: 0, failed: 0 });
    },
    { timeout: 20_000 },
  );
  await expect(disk.startNode(["account"])).rejects.toThrow(
    "broker=memory: carries nothing to other processes",
  );
});
