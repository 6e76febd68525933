import { holdExisting, release } from "./contents.js";
import { listEntries } from "./entry-list.js";
import {
  beneath,
  entryById,
  findName,
  freeName,
  insertName,
  isFolder,
  type NameRow,
  named,
  nameKey,
  sameFile,
  selectEntries,
  toEntry,
  wayTo,
} from "./entry-rows.js";
import type { Implementations, Tx } from "./transaction.js";
import { lockUser, takeQuota } from "./users.js";

/** SQLite takes so many values in one statement. */
const batch = 500;

async function setTrash(tx: Tx, rows: readonly NameRow[], root: number, trashedAtMs: number): Promise<void> {
  for (let start = 0; start < rows.length; start += batch) {
    await tx.trx
      .updateTable("tbl_user_file")
      .set({ trash_root: root, trashed_at: trashedAtMs })
      .where(
        "id",
        "in",
        rows.slice(start, start + batch).map((row) => row.id),
      )
      .execute();
  }
}

function trashedWith({ trx }: Tx, root: number): Promise<NameRow[]> {
  return trx.selectFrom("tbl_user_file").selectAll().where("trash_root", "=", root).execute();
}

/** For good: rows, quota and references. The user is locked. */
async function deleteTrashed(tx: Tx, userId: number, root: number): Promise<number> {
  const rows = await trashedWith(tx, root);
  const names = new Map<string, number>();
  let sizeBytes = 0;
  for (const row of rows) {
    sizeBytes += row.size_bytes;
    if (row.folder === 0) names.set(row.file_hash, (names.get(row.file_hash) ?? 0) + 1);
  }
  await tx.trx.deleteFrom("tbl_user_file").where("trash_root", "=", root).execute();
  // In the order of their hashes, as everybody locks them.
  for (const fileHash of [...names.keys()].sort()) await release(tx, fileHash, names.get(fileHash) ?? 0);
  await takeQuota(tx, userId, -sizeBytes);
  return rows.length;
}

async function rename(tx: Tx, row: NameRow, to: { name: string; parentId: number }) {
  const taken = await named(tx, row.user_id, to.parentId, to.name);
  if (taken !== undefined && taken.id !== row.id) return { outcome: "conflict" } as const;
  await tx.trx
    .updateTable("tbl_user_file")
    .set({
      file_name: to.name,
      name_key: nameKey(to.name),
      parent_id: to.parentId,
      updated_at: tx.nowMs,
    })
    .where("id", "=", row.id)
    .execute();
  return { outcome: "ok", entry: await entryById(tx, row.id) } as const;
}

/** The user's entry, not in the trash; other changes of this user wait. */
async function lockLive(tx: Tx, userId: number, id: number): Promise<NameRow | undefined> {
  await lockUser(tx, userId);
  const row = await findName(tx, userId, id);
  return row?.trash_root === 0 ? row : undefined;
}

type Reading = `entry.${"get" | "byHash" | "recent" | "list"}`;

const reading: Pick<Implementations, Reading> = {
  async "entry.get"(tx, { userId, id }) {
    const row = await selectEntries(tx)
      .where("e.id", "=", id)
      .where("e.user_id", "=", userId)
      .executeTakeFirst();
    if (row === undefined) return { entry: null, parents: [] };
    const parents = await wayTo(tx, userId, row.parent_id);
    return {
      entry: toEntry(row, tx.nowMs),
      parents: parents.map((parent) =>
        toEntry({ ...parent, state: null, failed: null, lease_until: null }, tx.nowMs),
      ),
    };
  },

  async "entry.byHash"(tx, { userId, fileHash }) {
    const rows = await selectEntries(tx)
      .where("e.user_id", "=", userId)
      .where("e.file_hash", "=", fileHash)
      .where("e.trash_root", "=", 0)
      .orderBy("e.id")
      .limit(1000)
      .execute();
    return { entries: rows.map((row) => toEntry(row, tx.nowMs)) };
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
    const id = await insertName(tx, { userId, parentId, name, folder: true, fileHash: "", sizeBytes: 0 });
    return { outcome: "ok", entry: await entryById(tx, id) };
  },

  async "entry.rename"(tx, { userId, id, name }) {
    const row = await lockLive(tx, userId, id);
    if (row === undefined) return { outcome: "not_found" };
    return rename(tx, row, { name, parentId: row.parent_id });
  },

  async "entry.move"(tx, { userId, id, parentId }) {
    const row = await lockLive(tx, userId, id);
    if (row === undefined) return { outcome: "not_found" };
    if (!(await isFolder(tx, userId, parentId))) return { outcome: "no_parent" };
    if ((await wayTo(tx, userId, parentId)).some((folder) => folder.id === id)) return { outcome: "cycle" };
    return rename(tx, row, { name: row.file_name, parentId });
  },

  async "entry.link"(tx, { userId, parentId, name, fileHash, onConflict }) {
    await lockUser(tx, userId);
    if (!(await isFolder(tx, userId, parentId))) return { outcome: "no_parent" };
    const file = { userId, parentId, name, fileHash };
    const same = onConflict === "rename" ? await sameFile(tx, file) : undefined;
    if (same !== undefined) return { outcome: "ok", entry: same };
    if (onConflict === "fail" && (await named(tx, userId, parentId, name)) !== undefined)
      return { outcome: "conflict" };
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
    const free = await freeName(tx, userId, parentId, name);
    const sizeBytes = content.size_bytes;
    const id = await insertName(tx, { userId, parentId, name: free, folder: false, fileHash, sizeBytes });
    return { outcome: "ok", entry: await entryById(tx, id) };
  },
};

type Trashing = `entry.${"trash" | "restore" | "delete" | "emptyTrash"}` | "trash.purge";

const trashing: Pick<Implementations, Trashing> = {
  async "entry.trash"(tx, { userId, id }) {
    const row = await lockLive(tx, userId, id);
    if (row === undefined) return { outcome: "not_found" };
    const inside = row.folder === 1 ? await beneath(tx, userId, id) : [];
    await setTrash(tx, [row, ...inside], id, tx.nowMs);
    return { outcome: "ok", entry: await entryById(tx, id) };
  },

  async "entry.restore"(tx, { userId, id }) {
    await lockUser(tx, userId);
    const row = await findName(tx, userId, id);
    if (row === undefined || row.trash_root !== id) return { outcome: "not_found" };
    const parentId = (await isFolder(tx, userId, row.parent_id)) ? row.parent_id : 0;
    const name = await freeName(tx, userId, parentId, row.file_name);
    await tx.trx
      .updateTable("tbl_user_file")
      .set({ parent_id: parentId, file_name: name, name_key: nameKey(name), updated_at: tx.nowMs })
      .where("id", "=", id)
      .execute();
    await setTrash(tx, await trashedWith(tx, id), 0, 0);
    return { outcome: "ok", entry: await entryById(tx, id) };
  },

  async "entry.delete"(tx, { userId, id }) {
    await lockUser(tx, userId);
    const row = await findName(tx, userId, id);
    if (row === undefined || row.trash_root !== id) return { deleted: 0 };
    return { deleted: await deleteTrashed(tx, userId, id) };
  },

  async "entry.emptyTrash"(tx, { userId }) {
    await lockUser(tx, userId);
    const roots = await tx.trx
      .selectFrom("tbl_user_file")
      .select("id")
      .where("user_id", "=", userId)
      .where((eb) => eb("trash_root", "=", eb.ref("id")))
      .execute();
    let deleted = 0;
    for (const { id } of roots) deleted += await deleteTrashed(tx, userId, id);
    return { deleted };
  },

  async "trash.purge"(tx, { trashedBeforeMs, limit }) {
    const roots = await tx.trx
      .selectFrom("tbl_user_file")
      .select(["id", "user_id"])
      .where((eb) => eb("trash_root", "=", eb.ref("id")))
      .where("trashed_at", "<", trashedBeforeMs)
      .orderBy("user_id")
      .orderBy("id")
      .limit(limit)
      .execute();
    let deleted = 0;
    for (const { id, user_id: userId } of roots) {
      await lockUser(tx, userId);
      // Restored while we waited for the lock: then nothing is in the trash with it.
      deleted += await deleteTrashed(tx, userId, id);
    }
    return { deleted };
  },
};

export const entryActions = { ...reading, ...changing, ...trashing };
