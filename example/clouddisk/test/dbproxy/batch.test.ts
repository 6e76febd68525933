import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { databases } from "./databases.js";
import { Actions } from "./harness.js";

describe.each(databases)("many entries at once on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  it("changes each as far as it can be, and says why not", async () => {
    const userId = await actions.user();
    const other = await actions.file(await actions.user(), "not yours");
    const folder = await actions.folder(userId, "folder");
    const [a, b] = [await actions.file(userId, "a"), await actions.file(userId, "b")];
    await actions.file(userId, "b", "another b", folder);
    const ids = [a.id, other.id, b.id, folder, a.id];
    const moved = await actions.run("entry.batch", {
      userId,
      operation: "move",
      ids,
      parentId: folder,
      rowsMax: 100,
    });
    expect(moved.results).toEqual([
      { outcome: "ok", entry: expect.objectContaining({ id: a.id, parentId: folder }) },
      { outcome: "not_found" },
      { outcome: "conflict" },
      { outcome: "cycle" },
      { outcome: "ok", entry: expect.objectContaining({ id: a.id }) },
    ]);
    expect(await actions.names(userId, { parentId: folder })).toEqual(["a", "b"]);
  });

  it("leaves what is more than so many rows to the next transaction", async () => {
    const userId = await actions.user();
    const big = await actions.folder(userId, "big");
    await actions.insertFiles(userId, 20, { parentId: big });
    const files = [await actions.file(userId, "x"), await actions.file(userId, "y")];
    const ids = [big, ...files.map(({ id }) => id)];
    const params = { userId, operation: "trash", parentId: 0, rowsMax: 21 } as const;
    expect((await actions.run("entry.batch", { ...params, ids })).results).toHaveLength(1);
    expect((await actions.run("entry.batch", { ...params, ids: ids.slice(1) })).results).toHaveLength(2);
    expect(await actions.names(userId)).toEqual([]);
    expect(await actions.names(userId, { trashed: true })).toEqual(["big", "x", "y"]);
    const back = { ...params, operation: "restore", ids, rowsMax: 1000 } as const;
    expect((await actions.run("entry.batch", back)).results.map(({ outcome }) => outcome)).toEqual([
      "ok",
      "ok",
      "ok",
    ]);
    expect(await actions.names(userId, { parentId: big })).toHaveLength(20);
  });

  it("deletes some rows in each transaction, a folder after what is in it, and gives their quota back", async () => {
    const userId = await actions.user();
    const folder = await actions.folder(userId, "folder");
    for (const name of ["one", "two", "six"]) await actions.file(userId, name, name, folder);
    await actions.run("entry.trash", { userId, id: folder });
    expect(await actions.run("entry.discard", { userId, ids: [folder] })).toEqual({ ids: [folder] });
    expect(await actions.run("entry.purgeable", { userId, trashedUntilMs: 0 })).toEqual({ rows: 4 });
    expect(await actions.run("entry.purge", { userId, limit: 2 })).toEqual({ deleted: 2, more: true });
    expect(await actions.usedBytes(userId)).toBe(3);
    // Killed here, it is neither in the trash nor restored by halves; the cleaner goes on with it.
    expect(await actions.names(userId, { trashed: true })).toEqual([]);
    expect(await actions.run("entry.restore", { userId, id: folder })).toEqual({ outcome: "not_found" });
    let deleted = 0;
    for (let more = true; more; ) {
      const purged = await actions.run("trash.purge", { trashedBeforeMs: 0, limit: 1 });
      deleted += purged.deleted;
      ({ more } = purged);
    }
    expect(deleted).toBe(2);
    expect(await actions.usedBytes(userId)).toBe(0);
    expect(await actions.run("content.recount", {})).toEqual({ contents: 0, users: 0 });
  });

  it("keeps a content that others hold, and tells the store of one that nobody does", async () => {
    const [first, second] = [await actions.user(), await actions.user()];
    const kept = await actions.file(first, "kept");
    const gone = await actions.file(first, "gone");
    await actions.file(second, "kept");
    for (const { id } of [kept, gone]) await actions.run("entry.trash", { userId: first, id });
    await actions.run("entry.discardTrash", {
      userId: first,
      trashedUntilMs: Number.MAX_SAFE_INTEGER,
      limit: 10,
    });
    expect(await actions.run("entry.purge", { userId: first, limit: 10 })).toEqual({
      deleted: 2,
      more: false,
    });
    const state = async (fileHash: string) => (await actions.run("content.get", { fileHash })).content;
    expect(await state(kept.fileHash)).toMatchObject({ refCount: 1, state: "local" });
    expect(await state(gone.fileHash)).toMatchObject({ refCount: 0, state: "deleting" });
  });
});
