import type { EntryOutcome, ParamsOf } from "./actions.js";
import { noteEntries } from "./changes.js";
import { holdExisting } from "./contents.js";
import { listEntries } from "./entry-list.js";
import {
  entryById,
  insertName,
  isFolder,
  lockLive,
  type NameRow,
  nameColumns,
  named,
  numbered,
  sameFile,
  selectEntries,
  toEntry,
} from "./entry-rows.js";
import type { Implementations, Tx } from "./transaction.js";
import { folderDepthMax, heightOf, rowsOfWay, wayTo } from "./tree.js";
import { lockUser, takeQuota } from "./users.js";

async function rename(tx: Tx, row: NameRow, to: { name: string; parentId: number }) {
  const taken = await named(tx, row.user_id, to.parentId, to.name);
  if (taken !== undefined && taken.id !== row.id) return { outcome: "conflict" } as const;
  await tx.trx
    .updateTable("tbl_user_file")
    .set({
      ...nameColumns(to.name),
      parent_id: to.parentId,
      place: to.parentId,
      updated_at: tx.nowMs,
    })
    .where("id", "=", row.id)
    .execute();
  const { id, folder, user_id: userId, parent_id: fromParentId } = row;
  const moved = { id, folder, parent_id: to.parentId, file_name: to.name, fromParentId };
  await noteEntries(tx, userId, fromParentId === to.parentId ? "renamed" : "moved", [moved]);
  return { outcome: "ok", entry: await entryById(tx, id) } as const;
}

/** Into another folder, under the name it has. */
export async function moveEntry(
  tx: Tx,
  { userId, id, parentId }: ParamsOf<"entry.move">,
): Promise<EntryOutcome> {
  const row = await lockLive(tx, userId, id);
  if (row === undefined) return { outcome: "not_found" };
  if (!(await isFolder(tx, userId, parentId))) return { outcome: "no_parent" };
  if (row.folder === 1) {
    const way = await wayTo(tx, userId, parentId);
    if (way.includes(id)) return { outcome: "cycle" };
    if (way.length + (await heightOf(tx, userId, id, 0)) > folderDepthMax) return { outcome: "too_deep" };
  }
  return rename(tx, row, { name: row.file_name, parentId });
}

type Reading = `entry.${"get" | "byHash" | "recent" | "list"}`;

const reading: Pick<Implementations, Reading> = {
  async "entry.get"(tx, { userId, id }) {
    const row = await selectEntries(tx)
      .where("e.id", "=", id)
      .where("e.user_id", "=", userId)
      .executeTakeFirst();
    if (row === undefined) return { entry: null, parents: [] };
    const parents = await rowsOfWay(tx, userId, row.parent_id);
    return {
      entry: toEntry(row, tx.nowMs),
      parents: parents.map((parent) =>
        toEntry({ ...parent, state: null, failed: null, lease_until: null }, tx.nowMs),
      ),
    };
  },

  async "entry.byHash"(tx, { userId, fileHash, id, name }) {
    let query = selectEntries(tx)
      .where("e.user_id", "=", userId)
      .where("e.file_hash", "=", fileHash)
      .where("e.trash_root", "=", 0);
    if (id !== undefined) query = query.where("e.id", "=", id);
    if (name !== undefined) query = query.where("e.file_name", "=", name);
    const row = await query.orderBy("e.id").limit(1).executeTakeFirst();
    return { entry: row === undefined ? null : toEntry(row, tx.nowMs) };
  },

  async "entry.recent"(tx, { userId, limit }) {
    const rows = await selectEntries(tx)
      .where("e.user_id", "=", userId)
      .where("e.trash_root", "=", 0)
      .where("e.folder", "=", 0)
      .orderBy("e.updated_at", "desc")
      .orderBy("e.id", "desc")
      .limit(limit)
      .execute();
    return { entries: rows.map((row) => toEntry(row, tx.nowMs)) };
  },

  "entry.list": listEntries,
};

type Changing = `entry.${"createFolder" | "rename" | "move" | "link"}`;

const changing: Pick<Implementations, Changing> = {
  async "entry.createFolder"(tx, { userId, parentId, name, reuse }) {
    await lockUser(tx, userId);
    if (!(await isFolder(tx, userId, parentId))) return { outcome: "no_parent" };
    const taken = await named(tx, userId, parentId, name);
    if (taken !== undefined) {
      if (!reuse || taken.folder === 0) return { outcome: "conflict" };
      return { outcome: "ok", entry: await entryById(tx, taken.id) };
    }
    if ((await wayTo(tx, userId, parentId)).length >= folderDepthMax) return { outcome: "too_deep" };
    const id = await insertName(tx, { userId, parentId, name, folder: true, fileHash: "", sizeBytes: 0 });
    return { outcome: "ok", entry: await entryById(tx, id) };
  },

  async "entry.rename"(tx, { userId, id, name }) {
    const row = await lockLive(tx, userId, id);
    if (row === undefined) return { outcome: "not_found" };
    return rename(tx, row, { name, parentId: row.parent_id });
  },

  "entry.move": moveEntry,

  async "entry.link"(tx, { userId, parentId, name, fileHash, onConflict }) {
    await lockUser(tx, userId);
    if (!(await isFolder(tx, userId, parentId))) return { outcome: "no_parent" };
    const taken = await named(tx, userId, parentId, name);
    if (onConflict === "fail" && taken !== undefined) return { outcome: "conflict" };
    const same = await sameFile(tx, taken, fileHash);
    if (same !== undefined) return { outcome: "ok", entry: same };
    const { trx } = tx;
    const content = await trx
      .selectFrom("tbl_file")
      .select("size_bytes")
      .where("file_hash", "=", fileHash)
      .executeTakeFirst();
    if (content === undefined) return { outcome: "no_content" };
    // The quota first: what follows cannot be undone without failing the whole transaction.
    if (!(await takeQuota(tx, userId, content.size_bytes))) return { outcome: "quota" };
    if ((await holdExisting(tx, fileHash)) === undefined) {
      await takeQuota(tx, userId, -content.size_bytes);
      return { outcome: "no_content" };
    }
    const free = taken === undefined ? name : await numbered(tx, userId, parentId, name);
    const sizeBytes = content.size_bytes;
    const id = await insertName(tx, { userId, parentId, name: free, folder: false, fileHash, sizeBytes });
    return { outcome: "ok", entry: await entryById(tx, id) };
  },
};

export const entryActions = { ...reading, ...changing };
