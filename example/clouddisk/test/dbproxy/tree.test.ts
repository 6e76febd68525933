import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sortKey } from "../../src/dbproxy/name-keys.js";
import { databases } from "./databases.js";
import { Actions } from "./harness.js";

describe.each(databases)("deep trees on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  /** Folders one within the other, straight into the table; their ids from the top downward. */
  async function chain(userId: number, depth: number): Promise<number[]> {
    const ids: number[] = [];
    const { db } = actions.connected;
    await db.transaction().execute(async (trx) => {
      for (let level = 0; level < depth; level++) {
        const row = {
          user_id: userId,
          parent_id: ids.at(-1) ?? 0,
          file_name: `level ${level}`,
          name_key: `level ${level}`,
          sort_key: sortKey(`level ${level}`),
          place: ids.at(-1) ?? 0,
          folder: 1,
          file_hash: "",
          size_bytes: 0,
          created_at: 1,
          updated_at: 1,
          trash_root: 0,
          trashed_at: 0,
        };
        const { insertId } = await trx.insertInto("tbl_user_file").values(row).executeTakeFirstOrThrow();
        ids.push(Number(insertId));
      }
    });
    return ids;
  }

  it("refuses a circle at any depth", async () => {
    const userId = await actions.user();
    const ids = await chain(userId, 900);
    const [top = 0, second = 0] = ids;
    for (const target of [ids.at(-1), ids.at(250), second, top]) {
      const move = { userId, id: top, parentId: target ?? 0 };
      expect(await actions.run("entry.move", move)).toEqual({ outcome: "cycle" });
    }
    const listed = await actions.list(userId, { parentId: ids.at(-1) ?? 0 });
    expect(listed.parents.map(({ id }) => id)).toEqual(ids);
  });

  it("takes all of a deep tree into the trash, out of it and away, with its quota", async () => {
    const userId = await actions.user();
    const ids = await chain(userId, 900);
    const [top = 0] = ids;
    const deepest = ids.at(-1) ?? 0;
    const { id: file } = await actions.file(userId, "file", "some bytes", deepest);
    await actions.run("entry.trash", { userId, id: top });
    while ((await actions.run("entry.purge", { userId, limit: 500 })).more);
    expect(await actions.names(userId, { query: "file" })).toEqual([]);
    expect(
      await actions.run("entry.byHash", { userId, fileHash: (await get(userId, file)).fileHash }),
    ).toEqual({
      entry: null,
    });
    await actions.run("entry.restore", { userId, id: top });
    const [found] = (await actions.list(userId, { query: "file" })).entries;
    expect(found?.path).toMatch(/^….*level 898\/level 899$/);
    expect(found?.path.length).toBeLessThan(4100);
    await actions.run("entry.trash", { userId, id: top });
    await actions.run("entry.discard", { userId, ids: [top] });
    let deleted = 0;
    for (let more = true; more; ) {
      const purged = await actions.run("entry.purge", { userId, limit: 500 });
      deleted += purged.deleted;
      ({ more } = purged);
    }
    expect(deleted).toBe(901);
    expect(await actions.usedBytes(userId)).toBe(0);
  });

  const get = async (userId: number, id: number) => {
    const { entry } = await actions.run("entry.get", { userId, id });
    if (entry === null) throw new Error(`no entry ${id}`);
    return entry;
  };

  it("has a limit of depth, for new folders, moved and restored ones", async () => {
    const userId = await actions.user();
    const ids = await chain(userId, 999);
    const deepest = ids.at(-1) ?? 0;
    const last = await actions.folder(userId, "level 999", deepest);
    const beyond = { userId, parentId: last, name: "too deep", reuse: false };
    expect(await actions.run("entry.createFolder", beyond)).toEqual({ outcome: "too_deep" });
    const outer = await actions.folder(userId, "outer");
    const inner = await actions.folder(userId, "inner", outer);
    const move = { userId, id: outer, parentId: deepest };
    expect(await actions.run("entry.move", move)).toEqual({ outcome: "too_deep" });
    expect(await actions.run("entry.move", { ...move, id: inner })).toMatchObject({ outcome: "ok" });
    // Files are no level of their own.
    const { id: file } = await actions.file(userId, "file");
    expect(await actions.run("entry.move", { userId, id: file, parentId: last })).toMatchObject({
      outcome: "ok",
    });
    // Its folder was moved down meanwhile: it comes back to the top.
    const holder = await actions.folder(userId, "holder");
    const child = await actions.folder(userId, "child", holder);
    await actions.folder(userId, "grandchild", child);
    await actions.run("entry.trash", { userId, id: child });
    await actions.run("entry.move", { userId, id: holder, parentId: ids.at(-2) ?? 0 });
    expect(await actions.run("entry.restore", { userId, id: child })).toMatchObject({
      outcome: "ok",
      entry: { parentId: 0 },
    });
  });
});
