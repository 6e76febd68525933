import { sql } from "kysely";
import type { ParamsOf, ResultOf } from "./actions.js";
import { escapeLike, isFolder, type NameRow, nameKey, selectEntries, toEntry } from "./entry-rows.js";
import type { Tx } from "./transaction.js";
import { pathsOf, rowsOfWay } from "./tree.js";

type Params = ParamsOf<"entry.list">;

const columns = { name: "e.name_key", size: "e.size_bytes", updated: "e.updated_at" } as const;

/** Where a page ended: the sort values of its last entry. What is added or removed meanwhile moves nothing. */
interface Cursor {
  folder: number;
  value: string | number;
  id: number;
}

function readCursor(text: string, sort: Params["sort"]): Cursor | undefined {
  try {
    const cursor: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!Array.isArray(cursor) || cursor.length !== 4 || cursor[0] !== sort) return undefined;
    const [, folder, value, id] = cursor;
    const expected = sort === "name" ? "string" : "number";
    if (typeof value !== expected || !Number.isSafeInteger(folder) || !Number.isSafeInteger(id))
      return undefined;
    return { folder, value, id };
  } catch {
    return undefined;
  }
}

function writeCursor(row: NameRow, sort: Params["sort"]): string {
  const value = { name: row.name_key, size: row.size_bytes, updated: row.updated_at }[sort];
  return Buffer.from(JSON.stringify([sort, row.folder, value, row.id])).toString("base64url");
}

function matching(tx: Tx, { userId, parentId, trashed, query }: Params) {
  let select = selectEntries(tx).where("e.user_id", "=", userId);
  if (trashed) select = select.where((eb) => eb("e.trash_root", "=", eb.ref("e.id")));
  else select = select.where("e.trash_root", "=", 0);
  if (query !== "") {
    const pattern = `%${escapeLike(nameKey(query))}%`;
    select = select.where(sql<boolean>`e.name_key like ${pattern} escape '!'`);
  } else if (!trashed) {
    select = select.where("e.parent_id", "=", parentId);
  }
  return select;
}

export async function listEntries(tx: Tx, params: Params): Promise<ResultOf<"entry.list">> {
  const { userId, parentId, sort, descending, limit } = params;
  if (!(await isFolder(tx, userId, parentId))) return { outcome: "not_found" };
  const cursor = params.cursor === "" ? undefined : readCursor(params.cursor, sort);
  if (params.cursor !== "" && cursor === undefined) return { outcome: "bad_cursor" };

  const all = matching(tx, params);
  const column = columns[sort];
  const direction = descending ? "desc" : "asc";
  const beyond = descending ? "<" : ">";
  let page = all.orderBy("e.folder", "desc").orderBy(column, direction).orderBy("e.id", direction);
  if (cursor !== undefined) {
    page = page.where((eb) =>
      eb.or([
        eb("e.folder", "<", cursor.folder),
        eb.and([
          eb("e.folder", "=", cursor.folder),
          eb.or([
            eb(column, beyond, cursor.value),
            eb.and([eb(column, "=", cursor.value), eb("e.id", beyond, cursor.id)]),
          ]),
        ]),
      ]),
    );
  }
  const rows = await page.limit(limit + 1).execute();
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  const { total } = await all
    .clearSelect()
    .select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const withPaths = params.query !== "" || params.trashed;
  const paths = withPaths
    ? await pathsOf(
        tx,
        userId,
        shown.map((row) => row.parent_id),
      )
    : new Map<number, string>();
  const entries = shown.map((row) => ({ ...toEntry(row, tx.nowMs), path: paths.get(row.parent_id) ?? "" }));
  const parents = await rowsOfWay(tx, userId, parentId);
  return {
    outcome: "ok",
    entries,
    total: Number(total),
    nextCursor: last === undefined ? "" : writeCursor(last, sort),
    parents: parents.map((row) =>
      toEntry({ ...row, state: null, failed: null, lease_until: null }, tx.nowMs),
    ),
  };
}
