import { afterAll, beforeAll, expect, test } from "vitest";
import { type Disk, startDisk } from "../support/disk.js";
import { api } from "./support.js";

let disk: Disk;
beforeAll(async () => {
  disk = await startDisk({ services: ["dbproxy", "account", "apigw"], keep: true });
});
afterAll(() => disk.stop());

async function folders(ask: ReturnType<typeof api>, count: number): Promise<number[]> {
  const made = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      ask("POST", "/api/folders", { parentId: 0, name: `folder ${index}` }),
    ),
  );
  return made.map(({ body }) => (body.entry as { id: number }).id);
}

test("600 entries into the trash, out of it, elsewhere and away, by one request each", async () => {
  const ask = api(disk, await disk.user("many"));
  const [target = 0, ...ids] = await folders(ask, 601);
  const total = async (query: string) => (await ask("GET", `/api/files?${query}`)).body.total;
  const trashed = await ask("POST", "/api/files/batch/trash", { ids });
  expect(trashed.body).toMatchObject({ code: 0, msg: "ok" });
  expect(trashed.body.results).toEqual(
    ids.map((id) => ({ id, code: 0, msg: "ok", entry: expect.objectContaining({ id }) })),
  );
  expect(await total("trashed=1")).toBe(600);
  await ask("POST", "/api/files/batch/restore", { ids });
  expect(await total("parent=0")).toBe(601);
  await ask("POST", "/api/files/batch/move", { ids, parentId: target });
  expect(await total(`parent=${target}`)).toBe(600);
  await ask("POST", "/api/files/batch/trash", { ids });
  expect(await ask("POST", "/api/files/batch/delete", { ids })).toEqual({
    status: 200,
    body: {
      code: 0,
      msg: "ok",
      deleted: 600,
      left: 0,
      results: ids.map((id) => ({ id, code: 0, msg: "ok" })),
    },
  });
  expect(await total("trashed=1")).toBe(0);
});

test("each entry has its own result; another's is not there", async () => {
  const [theirs = 0] = await folders(api(disk, await disk.user("owner")), 1);
  const ask = api(disk, await disk.user("visitor"));
  const [mine = 0] = await folders(ask, 1);
  const { body } = await ask("POST", "/api/files/batch/trash", { ids: [theirs, mine] });
  expect(body.results).toEqual([
    { id: theirs, code: 10007, msg: "there is no such file or folder" },
    { id: mine, code: 0, msg: "ok", entry: expect.objectContaining({ id: mine }) },
  ]);
  const gone = await ask("POST", "/api/files/batch/delete", { ids: [theirs, mine] });
  expect(gone.body).toMatchObject({ deleted: 1, left: 0 });
  expect(gone.body.results).toEqual([
    { id: theirs, code: 10007, msg: "it is not in the trash" },
    { id: mine, code: 0, msg: "ok" },
  ]);
});

test.each([
  ["trash", {}],
  ["trash", { ids: [] }],
  ["trash", { ids: [0] }],
  ["delete", { ids: Array.from({ length: 1001 }, (_, index) => index + 1) }],
  ["move", { ids: [1] }],
])("%s refuses wrong parameters", async (operation, body) => {
  const ask = api(disk, await disk.user());
  expect((await ask("POST", `/api/files/batch/${operation}`, body)).body.code).toBe(10001);
});
