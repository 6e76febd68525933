import type { EntryOutcome, ParamsOf, ResultOf } from "./actions.js";
import { noteEntries } from "./changes.js";
import { moveEntry } from "./entries.js";
import {
  entryById,
  findName,
  freeName,
  isFolder,
  lockLive,
  type NameRow,
  nameColumns,
  placeOfTrash,
} from "./entry-rows.js";
import { discard, purge, purgeable } from "./purge.js";
import type { Implementations, Tx } from "./transaction.js";
import { batch, follow, followOn, forget } from "./trashing.js";
import { folderDepthMax, heightOf, wayTo } from "./tree.js";
import { lockUser } from "./users.js";

/** Rows that come out of the trash. */
async function takeOut(tx: Tx, ids: readonly number[]): Promise<void> {
  for (let start = 0; start < ids.length; start += batch) {
    await tx.trx
      .updateTable("tbl_user_file")
      .set((eb) => ({ trash_root: 0, trashed_at: 0, place: eb.ref("parent_id") }))
      .where("id", "in", ids.slice(start, start + batch))
      .execute();
  }
}

async function trashedWith({ trx }: Tx, userId: number, root: number): Promise<number[]> {
  const rows = await trx
    .selectFrom("tbl_user_file")
    .select("id")
    .where("user_id", "=", userId)
    .where("trash_root", "=", root)
    .execute();
  return rows.map((row) => row.id);
}

interface Changed {
  result: EntryOutcome;
  /** How many rows it was. */
  rows: number;
}

const notFound: Changed = { result: { outcome: "not_found" }, rows: 1 };

async function trash(tx: Tx, userId: number, id: number): Promise<Changed> {
  const row = await lockLive(tx, userId, id);
  if (row === undefined) return notFound;
  await tx.trx
    .updateTable("tbl_user_file")
    .set({ trash_root: id, trashed_at: tx.nowMs, place: placeOfTrash })
    .where("id", "=", id)
    .execute();
  await noteEntries(tx, userId, "trashed", [row]);
  const beneath = { userId, root: id, trashedAtMs: tx.nowMs, rowsMax: batch };
  const { rows, more } = row.folder === 1 ? await follow(tx, beneath) : { rows: 0, more: false };
  const entry = await entryById(tx, id);
  return { result: { outcome: "ok", entry, ...(more ? { more } : {}) }, rows: rows + 1 };
}

/** Where it was; the top when that folder is gone, or stands too deep by now. */
async function placeFor(
  tx: Tx,
  { user_id: userId, id, parent_id: parentId, folder }: NameRow,
): Promise<number> {
  if (!(await isFolder(tx, userId, parentId))) return 0;
  if (folder === 0) return parentId;
  const depth = (await wayTo(tx, userId, parentId)).length;
  return depth + (await heightOf(tx, userId, id, id)) > folderDepthMax ? 0 : parentId;
}

async function restore(tx: Tx, userId: number, id: number): Promise<Changed> {
  await lockUser(tx, userId);
  const row = await findName(tx, userId, id);
  if (row === undefined || row.trash_root !== id) return notFound;
  const parentId = await placeFor(tx, row);
  const name = await freeName(tx, userId, parentId, row.file_name);
  await tx.trx
    .updateTable("tbl_user_file")
    .set({ parent_id: parentId, ...nameColumns(name), updated_at: tx.nowMs })
    .where("id", "=", id)
    .execute();
  const rows = await trashedWith(tx, userId, id);
  await takeOut(tx, rows);
  await forget(tx, userId, id);
  const restored = { id, folder: row.folder, parent_id: parentId, file_name: name };
  await noteEntries(tx, userId, "restored", [{ ...restored, fromParentId: row.parent_id }]);
  return { result: { outcome: "ok", entry: await entryById(tx, id) }, rows: rows.length };
}

/** One after the other, until so many rows are changed that the rest is for a transaction of its own. */
async function change(tx: Tx, params: ParamsOf<"entry.batch">): Promise<ResultOf<"entry.batch">> {
  const { userId, operation, ids, parentId, rowsMax } = params;
  const results: EntryOutcome[] = [];
  let rows = 0;
  for (const id of ids) {
    const changed =
      operation === "trash"
        ? await trash(tx, userId, id)
        : operation === "restore"
          ? await restore(tx, userId, id)
          : { result: await moveEntry(tx, { userId, id, parentId }), rows: 1 };
    results.push(changed.result);
    rows += changed.rows;
    if (rows >= rowsMax) break;
  }
  return { results };
}

type Trashing =
  | `entry.${"trash" | "restore" | "batch" | "discard" | "discardTrash" | "purge" | "purgeable"}`
  | "trash.purge";

export const trashActions: Pick<Implementations, Trashing> = {
  "entry.trash": async (tx, { userId, id }) => (await trash(tx, userId, id)).result,
  "entry.restore": async (tx, { userId, id }) => (await restore(tx, userId, id)).result,
  "entry.batch": change,

  async "entry.discard"(tx, { userId, ids }) {
    await lockUser(tx, userId);
    return { ids: [...(await discard(tx, userId, ids))] };
  },

  async "entry.discardTrash"(tx, { userId, trashedUntilMs, limit }) {
    await lockUser(tx, userId);
    const roots = await tx.trx
      .selectFrom("tbl_user_file")
      .select("id")
      .where("user_id", "=", userId)
      .where("place", "=", placeOfTrash)
      .where("trashed_at", "<=", trashedUntilMs)
      .limit(limit)
      .execute();
    const ids = roots.map((row) => row.id);
    await discard(tx, userId, ids);
    return { discarded: ids.length };
  },

  "entry.purge": (tx, { userId, limit }) => purge(tx, userId, limit),
  "entry.purgeable": async (tx, { userId, trashedUntilMs }) => ({
    rows: await purgeable(tx, userId, trashedUntilMs),
  }),

  async "trash.purge"(tx, { trashedBeforeMs, limit }) {
    if (await followOn(tx, undefined, limit)) return { deleted: 0, more: true };
    const old = await tx.trx
      .selectFrom("tbl_user_file")
      .select(["id", "user_id"])
      .where("trashed_at", ">", 0)
      .where("trashed_at", "<", trashedBeforeMs)
      .where("place", "=", placeOfTrash)
      .limit(limit)
      .execute();
    for (const userId of [...new Set(old.map((row) => row.user_id))].sort((one, other) => one - other)) {
      await lockUser(tx, userId);
      // Restored while we waited for the lock: then it is not in the trash any more.
      const ids = old.filter((row) => row.user_id === userId).map((row) => row.id);
      await discard(tx, userId, ids);
    }
    const next = await tx.trx
      .selectFrom("tbl_user_file")
      .select("user_id")
      .where("trash_root", "<", 0)
      .limit(1)
      .executeTakeFirst();
    if (next === undefined) return { deleted: 0, more: false };
    const { deleted, more } = await purge(tx, next.user_id, limit);
    return { deleted, more: more || old.length === limit || deleted > 0 };
  },
};
