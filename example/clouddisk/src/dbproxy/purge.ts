import { noteEntries } from "./changes.js";
import { releaseAll } from "./contents.js";
import { type NameRow, placeOfDiscarded, placeOfTrash } from "./entry-rows.js";
import type { Tx } from "./transaction.js";
import { batch, followOn } from "./trashing.js";
import { lockUser, takeQuota } from "./users.js";

// What is deleted for good goes in two steps. First its root leaves the trash: `trash_root` becomes the negative id, so that
// nobody sees or restores it any more. Then the rows go, some in each transaction, the root last.

export interface Purged {
  deleted: number;
  /** Whether the user has more to be purged. */
  more: boolean;
}

/** Takes roots out of the trash, to be purged; gives those that were in it. The user is locked. */
export async function discard(tx: Tx, userId: number, ids: readonly number[]): Promise<Set<number>> {
  const found = new Set<number>();
  for (let start = 0; start < ids.length; start += batch) {
    const some = await tx.trx
      .selectFrom("tbl_user_file")
      .select(["id", "parent_id", "file_name", "folder"])
      .where("user_id", "=", userId)
      .where("id", "in", ids.slice(start, start + batch))
      .where("place", "=", placeOfTrash)
      .execute();
    if (some.length === 0) continue;
    const roots = some.map((row) => row.id);
    await tx.trx
      .updateTable("tbl_user_file")
      .set((eb) => ({ trash_root: eb(eb.val(0), "-", eb.ref("id")), place: placeOfDiscarded }))
      .where("id", "in", roots)
      .execute();
    await noteEntries(tx, userId, "deleted", some);
    for (const id of roots) found.add(id);
  }
  return found;
}

/** Deletes at most `rowsMax` rows of the user's discarded roots, with their quota and references. */
export async function purge(tx: Tx, userId: number, rowsMax: number): Promise<Purged> {
  await lockUser(tx, userId);
  const limit = Math.min(rowsMax, batch);
  if (await followOn(tx, userId, limit)) return { deleted: 0, more: true };
  const roots = await rowsOf(tx, userId).where("trash_root", "<", 0).limit(limit).execute();
  if (roots.length === 0) return { deleted: 0, more: false };
  const inside = await rowsOf(tx, userId)
    .where(
      "trash_root",
      "in",
      roots.map((row) => row.id),
    )
    .limit(limit)
    .execute();
  const whole = inside.length + roots.length <= limit;
  // A root goes after all that went into the trash with it: it is how that is found.
  const gone = inside.length === 0 || whole ? [...inside, ...roots] : inside;
  await deleteRows(tx, userId, gone);
  return { deleted: gone.length, more: !whole || roots.length === limit };
}

/** How many rows of the user are still to be purged: of what was discarded, and of what is in the trash since then. */
export async function purgeable(tx: Tx, userId: number, trashedUntilMs: number): Promise<number> {
  const trash = rowsOf(tx, userId).where("trash_root", "!=", 0);
  const discarded = tx.trx
    .selectFrom("tbl_user_file as r")
    .select("r.id")
    .where("r.user_id", "=", userId)
    .where("r.trash_root", "<", 0);
  const { rows } = await trash
    .where((eb) =>
      eb.or([
        eb("trash_root", "<", 0),
        eb("trashed_at", "<=", trashedUntilMs),
        eb("trash_root", "in", discarded),
      ]),
    )
    .clearSelect()
    .select(({ fn }) => fn.countAll<number>().as("rows"))
    .executeTakeFirstOrThrow();
  const { folders } = await tx.trx
    .selectFrom("tbl_trashing")
    .where("user_id", "=", userId)
    .select(({ fn }) => fn.countAll<number>().as("folders"))
    .executeTakeFirstOrThrow();
  // How many follow these nobody has counted: there are some.
  return Number(rows) + Number(folders);
}

function rowsOf({ trx }: Tx, userId: number) {
  return trx.selectFrom("tbl_user_file").selectAll().where("user_id", "=", userId);
}

async function deleteRows(tx: Tx, userId: number, rows: readonly NameRow[]): Promise<void> {
  const names = new Map<string, number>();
  let sizeBytes = 0;
  for (const row of rows) {
    sizeBytes += row.size_bytes;
    if (row.folder === 0) names.set(row.file_hash, (names.get(row.file_hash) ?? 0) + 1);
  }
  const ids = rows.map((row) => row.id);
  for (let start = 0; start < ids.length; start += batch) {
    await tx.trx
      .deleteFrom("tbl_user_file")
      .where("id", "in", ids.slice(start, start + batch))
      .execute();
  }
  await releaseAll(tx, names);
  await takeQuota(tx, userId, -sizeBytes);
}
