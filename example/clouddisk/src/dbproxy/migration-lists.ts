import type { Kysely, Migration } from "kysely";
import { numberedName } from "../common/names.js";
import { nameColumns, placeInside, placeOfTrash } from "./entry-rows.js";
import { addIndices, type Index, indexName, kinds } from "./schema.js";
import type { Tables } from "./tables.js";

const batch = 500;

/** Every list is in the order of an index. */
const added: Index[] = [
  ["tbl_user_file", ["user_id", "place", "folder", "sort_key", "id"]],
  ["tbl_user_file", ["user_id", "place", "folder", "size_bytes", "id"]],
  ["tbl_user_file", ["user_id", "place", "folder", "updated_at", "id"]],
  // Of a search, and of the newest files.
  ["tbl_user_file", ["user_id", "trash_root", "folder", "sort_key", "id"]],
  ["tbl_user_file", ["user_id", "trash_root", "folder", "size_bytes", "id"]],
  ["tbl_user_file", ["user_id", "trash_root", "folder", "updated_at", "id"]],
  ["tbl_user_file", ["trashed_at"]],
  ["tbl_upload", ["user_id", "state", "created_at"]],
];

const dropped: Index[] = [
  ["tbl_user_file", ["user_id", "trash_root", "parent_id", "folder", "name_key", "id"]],
  ["tbl_user_file", ["user_id", "trash_root", "parent_id", "folder", "updated_at", "id"]],
  ["tbl_user_file", ["parent_id"]],
  ["tbl_upload", ["user_id", "state"]],
];

/** Where a name is listed, what it is sorted by, and what a search compares. */
export function lists(mysql: boolean): Migration {
  const { text, number } = kinds(mysql);
  return {
    async up(db: Kysely<unknown>) {
      // A migration that was killed midway begins anew, and MariaDB keeps what it had done.
      const tables = await db.introspection.getTables();
      const columns = tables.find(({ name }) => name === "tbl_user_file")?.columns.map(({ name }) => name);
      const table = db.schema.alterTable("tbl_user_file");
      if (!columns?.includes("sort_key")) {
        await table.addColumn("sort_key", text(512), (column) => column.notNull().defaultTo("")).execute();
      }
      if (!columns?.includes("place")) {
        await table.addColumn("place", number, (column) => column.notNull().defaultTo(0)).execute();
      }
      const rows = db as Kysely<Tables>;
      await adopt(rows);
      await fill(rows);
      for (const index of dropped) {
        const drop = db.schema.dropIndex(indexName(index)).ifExists();
        await (mysql ? drop.on(index[0]) : drop).execute();
      }
      await addIndices(db, added);
    },
  };
}

async function fill(db: Kysely<Tables>): Promise<void> {
  for (let after = 0; ; ) {
    const rows = await db
      .selectFrom("tbl_user_file")
      .select(["id", "file_name", "parent_id", "trash_root"])
      .where("id", ">", after)
      .orderBy("id")
      .limit(batch)
      .execute();
    for (const { id, file_name: name, parent_id: parent, trash_root: root } of rows) {
      const place = root === 0 ? parent : root === id ? placeOfTrash : placeInside;
      await db
        .updateTable("tbl_user_file")
        .set({ ...nameColumns(name), place })
        .where("id", "=", id)
        .execute();
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.id;
  }
}

/**
 * Trees deeper than 200 could lose a branch: folders that stand in a circle, and rows whose folder went to the trash without
 * them. They come back at the top, where their user sees them.
 */
async function adopt(db: Kysely<Tables>): Promise<void> {
  const live = await db
    .selectFrom("tbl_user_file")
    .select(["id", "parent_id"])
    .where("trash_root", "=", 0)
    .where("folder", "=", 1)
    .execute();
  const parents = new Map(live.map((row) => [row.id, row.parent_id]));
  const reached = new Set([0]);
  const lost: number[] = [];
  for (const { id } of live) {
    const way = new Set<number>();
    let at = id;
    let top = id;
    while (parents.has(at) && !reached.has(at) && !way.has(at)) {
      way.add(at);
      top = at;
      at = parents.get(at) ?? 0;
    }
    // Its topmost folder has no parent any more, or is where the circle is cut.
    if (!reached.has(at)) lost.push(top);
    for (const one of way) reached.add(one);
  }
  const files = await db
    .selectFrom("tbl_user_file as e")
    .leftJoin("tbl_user_file as p", "p.id", "e.parent_id")
    .select(["e.id", "p.trash_root"])
    .where("e.trash_root", "=", 0)
    .where("e.folder", "=", 0)
    .where("e.parent_id", "!=", 0)
    .where((eb) => eb.or([eb("p.id", "is", null), eb("p.trash_root", "!=", 0)]))
    .execute();
  for (const id of [...lost, ...files.map((row) => row.id)]) await toTop(db, id);
}

async function toTop(db: Kysely<Tables>, id: number): Promise<void> {
  const row = await db
    .selectFrom("tbl_user_file")
    .select(["user_id", "file_name"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  const isTaken = async (name: string): Promise<boolean> =>
    (await db
      .selectFrom("tbl_user_file")
      .select("id")
      .where("user_id", "=", row.user_id)
      .where("parent_id", "=", 0)
      .where("trash_root", "=", 0)
      .where("file_name", "=", name)
      .executeTakeFirst()) !== undefined;
  let name = row.file_name;
  for (let number = 1; await isTaken(name); number++) name = numberedName(row.file_name, number);
  await db.updateTable("tbl_user_file").set({ parent_id: 0, file_name: name }).where("id", "=", id).execute();
}
