import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { databases } from "./databases.js";
import { Actions } from "./harness.js";

const files = 1_200;

describe.each(databases)("a big folder in the trash on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  /** A folder with many files, some of them in a folder within. */
  async function bigFolder(): Promise<{ userId: number; outer: number; inner: number }> {
    const userId = await actions.user();
    const outer = await actions.folder(userId, "outer");
    const inner = await actions.folder(userId, "inner", outer);
    await actions.insertFiles(userId, files - 10, { parentId: outer });
    await actions.insertFiles(userId, 10, { parentId: inner, prefix: "inner file " });
    return { userId, outer, inner };
  }

  const found = async (userId: number): Promise<number> =>
    (await actions.list(userId, { query: "file", limit: 1 })).total;

  /** All of it in the end; how many transactions it took. */
  async function purgeAll(userId: number): Promise<number> {
    for (let turns = 1; ; turns++) {
      const { more } = await actions.run("entry.purge", { userId, limit: 500 });
      if (!more) return turns;
    }
  }

  it("is there at once, and what is in it follows in short transactions", async () => {
    const { userId, outer } = await bigFolder();
    expect(await actions.run("entry.trash", { userId, id: outer })).toMatchObject({
      outcome: "ok",
      entry: { id: outer },
      more: true,
    });
    expect(await actions.names(userId)).toEqual([]);
    expect(await actions.names(userId, { trashed: true })).toEqual(["outer"]);
    // No transaction changes more than so many rows.
    const left = [await found(userId)];
    while ((await actions.run("entry.purge", { userId, limit: 500 })).more) left.push(await found(userId));
    expect(left.at(-1)).toBe(0);
    for (const [index, count] of left.entries()) expect((left[index - 1] ?? files) - count).toBeLessThan(501);
    expect(await actions.names(userId, { trashed: true })).toEqual(["outer"]);
    await actions.run("entry.restore", { userId, id: outer });
    expect(await found(userId)).toBe(files);
    const { entry } = await actions.run("entry.get", { userId, id: outer });
    expect(entry?.trashedAtMs).toBe(0);
  });

  it("comes back whole when it is restored before all has followed", async () => {
    const { userId, outer, inner } = await bigFolder();
    await actions.run("entry.trash", { userId, id: outer });
    await actions.run("entry.restore", { userId, id: outer });
    expect(await found(userId)).toBe(files);
    expect(await actions.names(userId, { parentId: inner })).toHaveLength(10);
    // Nothing follows it any more.
    expect(await purgeAll(userId)).toBe(1);
    expect(await found(userId)).toBe(files);
  });

  it("leaves nothing behind when it is deleted for good before all has followed", async () => {
    const { userId, outer } = await bigFolder();
    await actions.file(userId, "kept");
    await actions.run("entry.trash", { userId, id: outer });
    expect(await actions.run("entry.discard", { userId, ids: [outer] })).toEqual({ ids: [outer] });
    expect((await actions.run("entry.purgeable", { userId, trashedUntilMs: 0 })).rows).toBeGreaterThan(500);
    await purgeAll(userId);
    const rows = await actions.connected.db
      .selectFrom("tbl_user_file")
      .select("file_name")
      .where("user_id", "=", userId)
      .execute();
    expect(rows).toEqual([{ file_name: "kept" }]);
    expect((await actions.run("entry.purgeable", { userId, trashedUntilMs: 0 })).rows).toBe(0);
  });

  it("is finished by the cleaner when whoever began was killed", async () => {
    const { userId, outer } = await bigFolder();
    await actions.run("entry.trash", { userId, id: outer });
    for (let more = true; more; ) {
      ({ more } = await actions.run("trash.purge", { trashedBeforeMs: 0, limit: 200 }));
    }
    expect(await found(userId)).toBe(0);
    expect(await actions.names(userId, { trashed: true })).toEqual(["outer"]);
  });

  it("what went into the trash by itself, or elsewhere, does not follow", async () => {
    const { userId, outer, inner } = await bigFolder();
    const own = await actions.file(userId, "own", "own", inner);
    const moved = await actions.file(userId, "moved", "moved", inner);
    await actions.run("entry.trash", { userId, id: own.id });
    await actions.run("entry.trash", { userId, id: outer });
    // Not followed yet, it can still be had.
    expect((await actions.run("entry.move", { userId, id: moved.id, parentId: 0 })).outcome).toBe("ok");
    await purgeAll(userId);
    expect(await actions.names(userId)).toEqual(["moved"]);
    expect(await actions.names(userId, { trashed: true })).toEqual(["outer", "own"]);
  });
});
