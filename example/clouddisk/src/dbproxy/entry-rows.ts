import type { Selectable } from "kysely";
import { numberedName } from "../common/names.js";
import type { EntryRow } from "./actions.js";
import { noteEntries } from "./changes.js";
import { nameKey, sortKey } from "./name-keys.js";
import { transferState } from "./outbox.js";
import type { Tables } from "./tables.js";
import type { Tx } from "./transaction.js";
import { lockUser } from "./users.js";

export type NameRow = Selectable<Tables["tbl_user_file"]>;

/** `place` of what is not in a folder: roots of the trash, what went there with them, and what is being deleted for good. */
export const placeOfTrash = -1;
export const placeInside = -2;
export const placeOfDiscarded = -3;

/** The columns of a name. */
export function nameColumns(name: string) {
  return { file_name: name, name_key: nameKey(name), sort_key: sortKey(name) };
}

/** Names with the state of their contents. */
export function selectEntries({ trx }: Tx) {
  return trx
    .selectFrom("tbl_user_file as e")
    .leftJoin("tbl_file as f", "f.file_hash", "e.file_hash")
    .leftJoin("tbl_outbox as o", "o.file_hash", "e.file_hash")
    .selectAll("e")
    .select(["f.state", "o.failed", "o.lease_until"]);
}

type StatefulRow = NameRow & {
  state: string | null;
  failed: number | null;
  lease_until: number | null;
};

export function toEntry(row: StatefulRow, nowMs: number): EntryRow {
  const content = row.state === null ? undefined : { state: row.state };
  return {
    id: row.id,
    userId: row.user_id,
    parentId: row.parent_id,
    name: row.file_name,
    folder: row.folder === 1,
    fileHash: row.file_hash,
    sizeBytes: row.size_bytes,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    trashedAtMs: row.trashed_at,
    state: transferState(content, row, nowMs),
  };
}

export async function entryById(tx: Tx, id: number): Promise<EntryRow> {
  return toEntry(await selectEntries(tx).where("e.id", "=", id).executeTakeFirstOrThrow(), tx.nowMs);
}

export function findName({ trx }: Tx, userId: number, id: number): Promise<NameRow | undefined> {
  return trx
    .selectFrom("tbl_user_file")
    .selectAll()
    .where("user_id", "=", userId)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** Whether a name can be put there: the top, or a folder of the user that is not in the trash. */
export async function isFolder(tx: Tx, userId: number, id: number): Promise<boolean> {
  if (id === 0) return true;
  const row = await findName(tx, userId, id);
  return row !== undefined && row.folder === 1 && row.trash_root === 0;
}

/** The user's entry, not in the trash; other changes of this user wait. */
export async function lockLive(tx: Tx, userId: number, id: number): Promise<NameRow | undefined> {
  await lockUser(tx, userId);
  const row = await findName(tx, userId, id);
  return row?.trash_root === 0 ? row : undefined;
}

export function named(
  { trx }: Tx,
  userId: number,
  parentId: number,
  name: string,
): Promise<NameRow | undefined> {
  return trx
    .selectFrom("tbl_user_file")
    .selectAll()
    .where("user_id", "=", userId)
    .where("parent_id", "=", parentId)
    .where("trash_root", "=", 0)
    .where("file_name", "=", name)
    .executeTakeFirst();
}

/**
 * The one that has the name, if it is a file with just this content: who puts it there once more has it already. So an upload whose
 * answer was lost may be sent again, and gives no second file.
 */
export async function sameFile(
  tx: Tx,
  taken: NameRow | undefined,
  fileHash: string,
): Promise<EntryRow | undefined> {
  return taken?.folder === 0 && taken.file_hash === fileHash ? entryById(tx, taken.id) : undefined;
}

export function escapeLike(text: string): string {
  return text.replace(/[!%_]/g, "!$&");
}

/** How many numbers are tried one by one before whole ranges are skipped. */
const triedEach = 16;

/** A name like `name`, which is taken: `name (1)` and so on, the number before the extension; among many of one name any free number. */
export async function numbered(tx: Tx, userId: number, parentId: number, name: string): Promise<string> {
  const first = Array.from({ length: triedEach }, (_, index) => numberedName(name, index + 1));
  const rows = await tx.trx
    .selectFrom("tbl_user_file")
    .select("file_name")
    .where("user_id", "=", userId)
    .where("parent_id", "=", parentId)
    .where("trash_root", "=", 0)
    .where("file_name", "in", first)
    .execute();
  const taken = new Set(rows.map((row) => row.file_name));
  const free = first.find((candidate) => !taken.has(candidate));
  if (free !== undefined) return free;
  const isTaken = async (number: number): Promise<boolean> =>
    (await named(tx, userId, parentId, numberedName(name, number))) !== undefined;
  let below = triedEach;
  let above = 2 * triedEach;
  for (; await isTaken(above); above *= 2) below = above;
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (await isTaken(middle)) below = middle;
    else above = middle;
  }
  return numberedName(name, above);
}

/** `name`, or when it is taken one with a number. */
export async function freeName(tx: Tx, userId: number, parentId: number, name: string): Promise<string> {
  const taken = await named(tx, userId, parentId, name);
  return taken === undefined ? name : numbered(tx, userId, parentId, name);
}

export interface NewName {
  userId: number;
  parentId: number;
  name: string;
  folder: boolean;
  fileHash: string;
  sizeBytes: number;
}

/** The user is locked. */
export async function insertName(tx: Tx, entry: NewName): Promise<number> {
  const { trx, nowMs } = tx;
  const { insertId } = await trx
    .insertInto("tbl_user_file")
    .values({
      user_id: entry.userId,
      parent_id: entry.parentId,
      place: entry.parentId,
      ...nameColumns(entry.name),
      folder: entry.folder ? 1 : 0,
      file_hash: entry.fileHash,
      size_bytes: entry.sizeBytes,
      created_at: nowMs,
      updated_at: nowMs,
      trash_root: 0,
      trashed_at: 0,
    })
    .executeTakeFirstOrThrow();
  const id = Number(insertId);
  const folder = entry.folder ? 1 : 0;
  const added = { id, parent_id: entry.parentId, file_name: entry.name, folder };
  await noteEntries(tx, entry.userId, "added", [added]);
  return id;
}
