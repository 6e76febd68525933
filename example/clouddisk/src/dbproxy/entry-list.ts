import { type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { ParamsOf, ResultOf } from "./actions.js";
import { escapeLike, isFolder, type NameRow, placeOfTrash, selectEntries, toEntry } from "./entry-rows.js";
import { nameKey } from "./name-keys.js";
import type { Tables } from "./tables.js";
import type { Tx } from "./transaction.js";
import { pathsOf, rowsOfWay } from "./tree.js";

type Params = ParamsOf<"entry.list">;

const columns = { name: "e.sort_key", size: "e.size_bytes", updated: "e.updated_at" } as const;

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
  const value = { name: row.sort_key, size: row.size_bytes, updated: row.updated_at }[sort];
  return Buffer.from(JSON.stringify([sort, row.folder, value, row.id])).toString("base64url");
}

/** Those listed of one kind, folders or files: in the order of an index, so that a page costs what it shows. */
function onPage(tx: Tx, params: Params, folder: number, after: Cursor | undefined) {
  const { sort, descending } = params;
  const column = columns[sort];
  const direction = descending ? "desc" : "asc";
  let page = selectEntries(tx)
    .where((eb) => matches(eb, params))
    .where("e.folder", "=", folder)
    .orderBy(column, direction)
    .orderBy("e.id", direction);
  if (after !== undefined) {
    const beyond = descending ? "<" : ">";
    page = page
      .where(column, descending ? "<=" : ">=", after.value)
      .where((eb) => eb.or([eb(column, beyond, after.value), eb("e.id", beyond, after.id)]));
  }
  return page;
}

type Names = ExpressionBuilder<Tables & { e: Tables["tbl_user_file"] }, "e">;

function matches(eb: Names, { userId, parentId, trashed, query }: Params) {
  const mine = eb("e.user_id", "=", userId);
  const where = trashed ? eb("e.place", "=", placeOfTrash) : eb("e.place", "=", parentId);
  if (query === "") return eb.and([mine, where]);
  const pattern = `%${escapeLike(nameKey(query))}%`;
  // A search looks at all that is not in the trash.
  const anywhere = trashed ? where : eb("e.trash_root", "=", 0);
  return eb.and([mine, anywhere, sql<SqlBool>`e.name_key like ${pattern} escape '!'`]);
}

async function countAll(tx: Tx, params: Params): Promise<number> {
  const { total } = await tx.trx
    .selectFrom("tbl_user_file as e")
    .where((eb) => matches(eb, params))
    .select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  return Number(total);
}

export async function listEntries(tx: Tx, params: Params): Promise<ResultOf<"entry.list">> {
  const { userId, parentId, sort, limit } = params;
  if (!(await isFolder(tx, userId, parentId))) return { outcome: "not_found" };
  const cursor = params.cursor === "" ? undefined : readCursor(params.cursor, sort);
  if (params.cursor !== "" && cursor === undefined) return { outcome: "bad_cursor" };
  const rows = [];
  for (const folder of [1, 0]) {
    if (cursor !== undefined && cursor.folder < folder) continue;
    const after = cursor?.folder === folder ? cursor : undefined;
    if (rows.length > limit) break;
    rows.push(
      ...(await onPage(tx, params, folder, after)
        .limit(limit + 1 - rows.length)
        .execute()),
    );
  }
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  const withPaths = params.query !== "" || params.trashed;
  const above = withPaths ? shown.map((row) => row.parent_id) : [];
  const paths = await pathsOf(tx, userId, above);
  const entries = shown.map((row) => ({ ...toEntry(row, tx.nowMs), path: paths.get(row.parent_id) ?? "" }));
  const parents = await rowsOfWay(tx, userId, parentId);
  return {
    outcome: "ok",
    entries,
    total: await countAll(tx, params),
    nextCursor: last === undefined ? "" : writeCursor(last, sort),
    parents: parents.map((row) =>
      toEntry({ ...row, state: null, failed: null, lease_until: null }, tx.nowMs),
    ),
  };
}
