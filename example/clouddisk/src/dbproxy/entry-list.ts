import { type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { ParamsOf, ResultOf } from "./actions.js";
import { escapeLike, isFolder, type NameRow, placeOfTrash, selectEntries, toEntry } from "./entry-rows.js";
import { nameKey } from "./name-keys.js";
import type { Tables } from "./tables.js";
import type { Tx } from "./transaction.js";
import { pathsOf, rowsOfWay } from "./tree.js";

type Params = ParamsOf<"entry.list">;

/**
 * Rows one search looks at: what has no hit among them goes on with its cursor, so that nobody's many names hold up all others.
 * About 20 ms.
 */
const searchRowsMax = 30_000;

const columns = { name: "e.sort_key", size: "e.size_bytes", updated: "e.updated_at" } as const;

/** Where a page ended: the sort values of its last entry. What is added or removed meanwhile moves nothing. */
interface Cursor {
  folder: number;
  value: string | number;
  id: number;
  /** How many a search has found by then. */
  found: number;
}

function readCursor(text: string, sort: Params["sort"]): Cursor | undefined {
  try {
    const cursor: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!Array.isArray(cursor) || cursor.length !== 5 || cursor[0] !== sort) return undefined;
    const [, folder, value, id, found] = cursor;
    const expected = sort === "name" ? "string" : "number";
    if (typeof value !== expected || ![folder, id, found].every(Number.isSafeInteger)) return undefined;
    return { folder, value, id, found };
  } catch {
    return undefined;
  }
}

function writeCursor({ folder, value, id, found }: Cursor, sort: Params["sort"]): string {
  return Buffer.from(JSON.stringify([sort, folder, value, id, found])).toString("base64url");
}

function cursorAt(row: NameRow, sort: Params["sort"], found: number): Cursor {
  const value = { name: row.sort_key, size: row.size_bytes, updated: row.updated_at }[sort];
  return { folder: row.folder, value, id: row.id, found };
}

/** A stretch of those listed of one kind, folders or files, in their order. */
interface Stretch {
  folder: number;
  after: Cursor | undefined;
  /** Its last one; undefined: to the end. */
  until: Cursor | undefined;
}

function within(eb: Names, params: Params, { folder, after, until }: Stretch) {
  const { descending } = params;
  const column = columns[params.sort];
  const beyond = (place: Cursor, downward: boolean, itself: boolean) => {
    const strictly = downward ? "<" : ">";
    return eb.and([
      eb(column, downward ? "<=" : ">=", place.value),
      eb.or([
        eb(column, strictly, place.value),
        eb("e.id", strictly, place.id),
        ...(itself ? [eb("e.id", "=", place.id)] : []),
      ]),
    ]);
  };
  return eb.and([
    eb("e.folder", "=", folder),
    ...(after === undefined ? [] : [beyond(after, descending, false)]),
    ...(until === undefined ? [] : [beyond(until, !descending, true)]),
  ]);
}

/** In the order of an index, so that a page costs what it shows. */
function onPage(tx: Tx, params: Params, stretch: Stretch) {
  const direction = params.descending ? "desc" : "asc";
  return selectEntries(tx)
    .where((eb) => placed(eb, params))
    .where((eb) => named(eb, params))
    .where((eb) => within(eb, params, stretch))
    .orderBy(columns[params.sort], direction)
    .orderBy("e.id", direction);
}

/** The one at which a search has looked at `rowsMax` rows; undefined when there are fewer. */
async function endOfLook(tx: Tx, params: Params, stretch: Stretch): Promise<Cursor | undefined> {
  const direction = params.descending ? "desc" : "asc";
  const column = columns[params.sort];
  const row = await tx.trx
    .selectFrom("tbl_user_file as e")
    .select(["e.id", `${column} as value`])
    .where((eb) => placed(eb, params))
    .where((eb) => within(eb, params, stretch))
    .orderBy(column, direction)
    .orderBy("e.id", direction)
    .offset((params.rowsMax ?? searchRowsMax) - 1)
    .limit(1)
    .executeTakeFirst();
  return row && { folder: stretch.folder, value: row.value, id: row.id, found: 0 };
}

type Names = ExpressionBuilder<Tables & { e: Tables["tbl_user_file"] }, "e">;

/** Where to look: a search looks at all that is not in the trash. */
function placed(eb: Names, { userId, parentId, trashed, query }: Params) {
  const mine = eb("e.user_id", "=", userId);
  if (trashed) return eb.and([mine, eb("e.place", "=", placeOfTrash)]);
  return eb.and([mine, query === "" ? eb("e.place", "=", parentId) : eb("e.trash_root", "=", 0)]);
}

function named(eb: Names, { query }: Params) {
  if (query === "") return eb.and([]);
  const pattern = `%${escapeLike(nameKey(query))}%`;
  return sql<SqlBool>`e.name_key like ${pattern} escape '!'`;
}

async function count(tx: Tx, params: Params, stretch?: Stretch): Promise<number> {
  let counted = tx.trx
    .selectFrom("tbl_user_file as e")
    .where((eb) => placed(eb, params))
    .where((eb) => named(eb, params));
  if (stretch !== undefined) counted = counted.where((eb) => within(eb, params, stretch));
  const { total } = await counted
    .select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  return Number(total);
}

interface Page {
  rows: Awaited<ReturnType<ReturnType<typeof onPage>["execute"]>>;
  total: number;
  next: Cursor | undefined;
}

async function pageOf(tx: Tx, params: Params, cursor: Cursor | undefined): Promise<Page> {
  const { query, sort, limit } = params;
  const rows: Page["rows"] = [];
  const before = cursor?.found ?? 0;
  let total = before;
  let end: Cursor | undefined;
  for (const folder of [1, 0]) {
    if (end !== undefined || (cursor !== undefined && cursor.folder < folder)) continue;
    const after = cursor?.folder === folder ? cursor : undefined;
    const stretch: Stretch = { folder, after, until: undefined };
    if (query !== "") end = stretch.until = await endOfLook(tx, params, stretch);
    const wanted = limit + 1 - rows.length;
    if (wanted > 0) rows.push(...(await onPage(tx, params, stretch).limit(wanted).execute()));
    if (query !== "") total += await count(tx, params, stretch);
  }
  if (query === "") total = await count(tx, params);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  if (last !== undefined)
    return { rows: rows.slice(0, limit), total, next: cursorAt(last, sort, before + limit) };
  return { rows, total, next: end && { ...end, found: total } };
}

export async function listEntries(tx: Tx, params: Params): Promise<ResultOf<"entry.list">> {
  const { userId, parentId, sort } = params;
  if (!(await isFolder(tx, userId, parentId))) return { outcome: "not_found" };
  const cursor = params.cursor === "" ? undefined : readCursor(params.cursor, sort);
  if (params.cursor !== "" && cursor === undefined) return { outcome: "bad_cursor" };
  const { rows, total, next } = await pageOf(tx, params, cursor);
  const withPaths = params.query !== "" || params.trashed;
  const paths = await pathsOf(tx, userId, withPaths ? rows.map((row) => row.parent_id) : []);
  const parents = await rowsOfWay(tx, userId, parentId);
  return {
    outcome: "ok",
    entries: rows.map((row) => ({ ...toEntry(row, tx.nowMs), path: paths.get(row.parent_id) ?? "" })),
    total,
    nextCursor: next === undefined ? "" : writeCursor(next, sort),
    parents: parents.map((row) =>
      toEntry({ ...row, state: null, failed: null, lease_until: null }, tx.nowMs),
    ),
  };
}
