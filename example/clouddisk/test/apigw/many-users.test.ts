import path from "node:path";
import { expect, test } from "vitest";
import { serviceNames } from "../../src/common/part.js";
import { startDisk, type User } from "../support/disk.js";
import { seed } from "../support/seed.js";
import { api } from "./support.js";

const users = 1_000;
const files = 10_000;
const filesEach = 3;

interface Entry {
  id: number;
  name: string;
}

test("10,000 files in a folder, 1,000 users: lists, search, batches and the trash; others see theirs meanwhile", async () => {
  const disk = await startDisk({ services: [] });
  const url = `sqlite:${path.join(disk.dataFolder, "clouddisk.db")}`;
  const seeded = await seed(url, { users, filesEach, files });
  await disk.startNode(serviceNames);
  const [owner = seeded.users[0] as User, ...others] = seeded.users;
  const ask = api(disk, owner);
  const page = async (as: User, query: string) => {
    const { status, body } = await api(disk, as)("GET", `/api/files?limit=1000&${query}`);
    expect(status).toBe(200);
    return body as { entries: Entry[]; total: number; nextCursor: string };
  };
  const all = async (query: string): Promise<Entry[]> => {
    const entries: Entry[] = [];
    for (let cursor = ""; entries.length === 0 || cursor !== ""; ) {
      const next = await page(owner, `${query}&cursor=${cursor}`);
      entries.push(...next.entries);
      cursor = next.nextCursor;
      if (cursor === "") expect(entries).toHaveLength(next.total);
    }
    return entries;
  };
  let looked = 0;
  /** While `work` goes on each of the others looks at his files, one after the other, and finds those alone. */
  const beside = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    const looking = (async () => {
      for (let first = true; first || !over; first = false) {
        const at = looked++ % others.length;
        const { entries } = await page(others[at] as User, "parent=0");
        expect(entries.map(({ name }) => name)).toEqual(
          Array.from({ length: filesEach }, (_, file) => `note ${file} of user ${at + 2}.txt`),
        );
      }
    })();
    const done = work.finally(() => {
      over = true;
    });
    return (await Promise.all([done, looking]))[0];
  };
  const batch = async (operation: string, ids: readonly number[], more: object = {}): Promise<void> => {
    for (let start = 0; start < ids.length; start += 1000) {
      const some = ids.slice(start, start + 1000);
      const { body } = await ask("POST", `/api/files/batch/${operation}`, { ids: some, ...more });
      const results = body.results as Array<{ id: number; code: number }>;
      expect(results.map(({ id, code }) => ({ id, code }))).toEqual(some.map((id) => ({ id, code: 0 })));
    }
  };

  const listed = await beside(all(`parent=${seeded.folderId}`));
  expect(listed.map(({ name }) => name)).toEqual(
    Array.from({ length: files }, (_, file) => `file ${file}.txt`),
  );
  const ids = listed.map(({ id }) => id);
  const wanted = Array.from({ length: files }, (_, file) => file).filter((file) => /77/.test(String(file)));
  expect(await beside(all("q=77"))).toHaveLength(wanted.length);
  expect(await page(owner, "q=of+user+2")).toMatchObject({ entries: [], total: 0, nextCursor: "" });

  const { body } = await ask("POST", "/api/folders", { parentId: 0, name: "moved" });
  const parentId = (body.entry as Entry).id;
  await beside(batch("move", ids, { parentId }));
  expect((await page(owner, `parent=${seeded.folderId}`)).total).toBe(0);
  expect((await page(owner, `parent=${parentId}`)).total).toBe(files);

  await beside(batch("trash", ids.slice(0, files / 2)));
  expect((await page(owner, "trashed=1")).total).toBe(files / 2);
  expect((await all("q=77")).length).toBeLessThan(wanted.length);
  await beside(batch("restore", ids.slice(0, files / 2)));
  // Now all of them at once, with their folder.
  expect((await beside(ask("DELETE", `/api/files/${parentId}`))).status).toBe(200);
  await expect.poll(async () => (await page(owner, "q=77")).total).toBe(0);
  expect((await page(owner, "trashed=1")).entries.map(({ id }) => id)).toEqual([parentId]);

  await beside(ask("DELETE", "/api/trash"));
  const used = async () => ((await ask("GET", "/api/me")).body.user as { usedBytes: number }).usedBytes;
  await expect.poll(used, { timeout: 60_000 }).toBe(filesEach);
  expect((await page(owner, "trashed=1")).total).toBe(0);
  expect(looked).toBeGreaterThan(6);
  expect(await disk.node.host.database.run("content.recount", {})).toEqual({ contents: 0, users: 0 });
}, 120_000);
