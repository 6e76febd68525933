import { placeInside } from "./entry-rows.js";
import type { Tx } from "./transaction.js";
import { lockUser } from "./users.js";

// A folder goes into the trash at once: its root is there, so that nobody comes to what is in it. The rows beneath follow, some in each
// transaction; until the last one has, `tbl_trashing` has the root. Restored meanwhile, those that followed come back; deleted for
// good, the others follow first.

/** SQLite takes so many values in one statement. */
export const batch = 500;

/** Each level is a look at all folders that have followed: a deep tree takes more transactions. */
const levelsMax = 50;

/** Rows right beneath those that are in the trash with `root`, and are not there themselves. */
async function notYet({ trx }: Tx, userId: number, root: number, limit: number): Promise<number[]> {
  const rows = await trx
    .selectFrom("tbl_user_file as p")
    // SQLite takes a cross join in this order: by folder.
    .crossJoin("tbl_user_file as c")
    .select("c.id")
    .where("p.user_id", "=", userId)
    // The root itself has it negative once it is to be deleted for good.
    .where("p.trash_root", "in", [root, -root])
    .where("p.folder", "=", 1)
    .where("c.user_id", "=", userId)
    // Of one that is not in the trash that is its folder.
    .whereRef("c.place", "=", "p.id")
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/** Has rows beneath `root` follow it, level by level, until so many are changed. The user is locked. */
export async function follow(
  tx: Tx,
  {
    userId,
    root,
    trashedAtMs,
    rowsMax,
  }: { userId: number; root: number; trashedAtMs: number; rowsMax: number },
): Promise<{ rows: number; more: boolean }> {
  let rows = 0;
  let levels = 0;
  for (; rows < rowsMax && levels < levelsMax; levels++) {
    const ids = await notYet(tx, userId, root, Math.min(batch, rowsMax - rows));
    if (ids.length === 0) break;
    await tx.trx
      .updateTable("tbl_user_file")
      .set({ trash_root: root, trashed_at: trashedAtMs, place: placeInside })
      .where("id", "in", ids)
      .execute();
    rows += ids.length;
  }
  const stopped = rows >= rowsMax || levels >= levelsMax;
  const more = stopped && (await notYet(tx, userId, root, 1)).length > 0;
  await note(tx, userId, root, more);
  return { rows, more };
}

async function note({ trx }: Tx, userId: number, root: number, more: boolean): Promise<void> {
  const noted = trx.selectFrom("tbl_trashing").select("root_id").where("user_id", "=", userId);
  const known = (await noted.where("root_id", "=", root).executeTakeFirst()) !== undefined;
  if (more && !known) {
    await trx.insertInto("tbl_trashing").values({ root_id: root, user_id: userId }).execute();
  }
  if (!more && known) await forget({ trx }, userId, root);
}

/** Nothing more follows this root. */
export async function forget({ trx }: Pick<Tx, "trx">, userId: number, root: number): Promise<void> {
  await trx.deleteFrom("tbl_trashing").where("user_id", "=", userId).where("root_id", "=", root).execute();
}

/** Has more rows follow one root, of this user or of whomever. False: there is no such root. */
export async function followOn(tx: Tx, userId: number | undefined, rowsMax: number): Promise<boolean> {
  const next = await tx.trx
    .selectFrom("tbl_trashing")
    .selectAll()
    .where("user_id", userId === undefined ? ">" : "=", userId ?? 0)
    .orderBy("user_id")
    .orderBy("root_id")
    .limit(1)
    .executeTakeFirst();
  if (next === undefined) return false;
  await lockUser(tx, next.user_id);
  const root = await tx.trx
    .selectFrom("tbl_user_file")
    .select(["trash_root", "trashed_at"])
    .where("id", "=", next.root_id)
    .executeTakeFirst();
  // Restored while we waited for the lock.
  if (root === undefined || root.trash_root === 0) await forget(tx, next.user_id, next.root_id);
  else {
    const { user_id: owner, root_id: id } = next;
    await follow(tx, { userId: owner, root: id, trashedAtMs: root.trashed_at, rowsMax });
  }
  return true;
}
