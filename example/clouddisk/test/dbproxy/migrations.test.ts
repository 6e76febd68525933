import { Kysely, Migrator, MysqlDialect, type SqliteDatabase, SqliteDialect } from "kysely";
import Sqlite from "libsql";
import { createPool } from "mysql2";
import { expect, it } from "vitest";
import { connect } from "../../src/dbproxy/connect.js";
import { migrations } from "../../src/dbproxy/migrations.js";
import { databases } from "./databases.js";

interface OldTables {
  tbl_user_file: Record<string, string | number>;
}

function oldDatabase(url: string): Kysely<OldTables> {
  if (!url.startsWith("sqlite:"))
    return new Kysely({ dialect: new MysqlDialect({ pool: createPool({ uri: url }) }) });
  const database = new Sqlite(url.slice("sqlite:".length)) as unknown as SqliteDatabase;
  return new Kysely({ dialect: new SqliteDialect({ database }) });
}

it.each(databases)(
  "a database of before is listed as it was, and what was lost is at the top: $name",
  async ({ open }) => {
    const { url, close } = await open();
    try {
      const db = oldDatabase(url);
      const all = await migrations(!url.startsWith("sqlite:")).getMigrations();
      const old = Object.fromEntries(Object.entries(all).filter(([name]) => name < "0003"));
      const { error } = await new Migrator({
        db,
        provider: { getMigrations: async () => old },
      }).migrateToLatest();
      expect(error).toBeUndefined();
      const row = (id: number, parent: number, name: string, more: object = {}) => ({
        id,
        user_id: 1,
        parent_id: parent,
        file_name: name,
        name_key: name,
        folder: 1,
        file_hash: "",
        size_bytes: 0,
        created_at: 1,
        updated_at: 1,
        trash_root: 0,
        trashed_at: 0,
        ...more,
      });
      await db
        .insertInto("tbl_user_file")
        .values([
          row(1, 0, "folder 10"),
          row(2, 0, "Folder 9"),
          row(3, 2, "inside"),
          row(4, 0, "trashed", { trash_root: 4, trashed_at: 5 }),
          row(5, 4, "with it", { trash_root: 4, trashed_at: 5 }),
          // Left behind by the trash, with what is in it.
          row(6, 5, "left"),
          row(7, 6, "inner"),
          row(8, 5, "left.txt", { folder: 0, file_hash: "a".repeat(64), size_bytes: 3 }),
          // A circle.
          row(9, 11, "folder 10"),
          row(10, 9, "b"),
          row(11, 10, "c"),
        ])
        .execute();
      await db.destroy();
      const connected = await connect(url);
      const rows = await connected.db
        .selectFrom("tbl_user_file")
        .select(["id", "parent_id", "file_name", "place", "sort_key"])
        .orderBy("id")
        .execute();
      await connected.close();
      const shown = rows.map((one) => [one.id, one.parent_id, one.place, one.file_name]);
      expect(shown.slice(0, 8)).toEqual([
        [1, 0, 0, "folder 10"],
        [2, 0, 0, "Folder 9"],
        [3, 2, 2, "inside"],
        [4, 0, -1, "trashed"],
        [5, 4, -2, "with it"],
        [6, 0, 0, "left"],
        [7, 6, 6, "inner"],
        [8, 0, 0, "left.txt"],
      ]);
      // The circle is cut once: the three stand one within the other, beneath the top.
      const ring = shown.slice(8);
      expect(ring.filter(([, parent]) => parent === 0)).toHaveLength(1);
      expect(ring.filter(([, parent]) => [9, 10, 11].includes(Number(parent)))).toHaveLength(2);
      expect(rows[1]?.sort_key).toBe("folder 19");
    } finally {
      await close();
    }
  },
);
