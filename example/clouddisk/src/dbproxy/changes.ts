import type { Selectable } from "kysely";
import type { ChangeKind, ChangeRow, UploadRow } from "./actions.js";
import type { NameRow } from "./entry-rows.js";
import type { Tables } from "./tables.js";
import type { Implementations, Tx } from "./transaction.js";
import { lockUser } from "./users.js";

// What happens among a user's files is a row of `tbl_change`, in the transaction that does it. The user is locked there, so that
// of one user a row with a higher id is never seen before one with a lower id: the id is a cursor.

/** Rows of one insert: SQLite takes so many values in one statement. */
const insertMax = 100;
/** Changes of one answer. */
const answerMax = 2000;

type EntryOf = Pick<NameRow, "id" | "parent_id" | "file_name" | "folder">;
type Row = Selectable<Tables["tbl_change"]>;

const none = { entry_id: 0, from_parent_id: 0, folder: 0, upload_id: "", size_bytes: 0, parts_done: 0 };

/** Notes what happened to entries of a user, who is locked. */
export async function noteEntries(
  { trx, nowMs, notes }: Tx,
  userId: number,
  kind: Exclude<ChangeKind, "upload">,
  entries: ReadonlyArray<EntryOf & { fromParentId?: number }>,
): Promise<void> {
  if (entries.length > 0) notes.changed(userId);
  const rows = entries.map((entry) => ({
    ...none,
    user_id: userId,
    kind,
    entry_id: entry.id,
    parent_id: entry.parent_id,
    from_parent_id: entry.fromParentId ?? entry.parent_id,
    file_name: entry.file_name,
    folder: entry.folder,
    part_count: 0,
    upload_state: "" as const,
    created_at: nowMs,
  }));
  for (let start = 0; start < rows.length; start += insertMax) {
    await trx
      .insertInto("tbl_change")
      .values(rows.slice(start, start + insertMax))
      .execute();
  }
}

type Noted = Pick<UploadRow, "id" | "userId" | "parentId" | "name" | "sizeBytes" | "partCount" | "state">;

/** How far an upload is, in place of what was noted of it before. Its user is locked. */
export async function noteUpload(tx: Tx, upload: Noted, partsDone: number): Promise<void> {
  const { trx, nowMs, notes } = tx;
  notes.changed(upload.userId);
  await trx.deleteFrom("tbl_change").where("upload_id", "=", upload.id).execute();
  await trx
    .insertInto("tbl_change")
    .values({
      ...none,
      user_id: upload.userId,
      kind: "upload",
      parent_id: upload.parentId,
      file_name: upload.name,
      upload_id: upload.id,
      size_bytes: upload.sizeBytes,
      parts_done: partsDone,
      part_count: upload.partCount,
      upload_state: upload.state,
      created_at: nowMs,
    })
    .execute();
}

function toChange(row: Row): ChangeRow {
  return {
    id: row.id,
    userId: row.user_id,
    kind: row.kind,
    entryId: row.entry_id,
    parentId: row.parent_id,
    fromParentId: row.from_parent_id,
    name: row.file_name,
    folder: row.folder === 1,
    uploadId: row.upload_id,
    sizeBytes: row.size_bytes,
    partsDone: row.parts_done,
    partCount: row.part_count,
    uploadState: row.upload_state,
    createdAtMs: row.created_at,
  };
}

/** Of the sessions those that are over. */
async function endedOf({ trx, nowMs }: Tx, sessions: readonly string[]): Promise<string[]> {
  if (sessions.length === 0) return [];
  const rows = await trx
    .selectFrom("tbl_user_token")
    .select("token_hash")
    .where("token_hash", "in", sessions)
    .where("expires_at", ">", nowMs)
    .execute();
  const open = new Set(rows.map((row) => row.token_hash));
  return sessions.filter((session) => !open.has(session));
}

type ChangeActions = `change.${"begin" | "poll" | "upload" | "prune"}`;

export const changeActions: Pick<Implementations, ChangeActions> = {
  async "change.begin"({ trx }, { userId, after }) {
    const { first, last } = await trx
      .selectFrom("tbl_change")
      .select(({ fn }) => [fn.min<number | null>("id").as("first"), fn.max<number | null>("id").as("last")])
      .executeTakeFirstOrThrow();
    // What had an id below the first one is forgotten; the last one that is forgotten stays, so that there is always one to tell.
    const forgotten = Number(first ?? 1) - 1;
    if (after !== undefined && after >= forgotten && after <= Number(last ?? 0))
      return { cursor: after, complete: true };
    const own = await trx
      .selectFrom("tbl_change")
      .select(({ fn }) => fn.max<number | null>("id").as("last"))
      .where("user_id", "=", userId)
      .executeTakeFirstOrThrow();
    return { cursor: Math.max(Number(own.last ?? 0), forgotten), complete: after === undefined };
  },

  async "change.poll"(tx, { watches, sessions }) {
    const ended = await endedOf(tx, sessions);
    if (watches.length === 0) return { changes: [], ended, more: false };
    const rows = await tx.trx
      .selectFrom("tbl_change")
      .selectAll()
      .where((eb) =>
        eb.or(watches.map(({ userId, after }) => eb("user_id", "=", userId).and("id", ">", after))),
      )
      .orderBy("id")
      .limit(answerMax)
      .execute();
    return { changes: rows.map(toChange), ended, more: rows.length === answerMax };
  },

  async "change.upload"(tx, { id, userId, partsDone }) {
    await lockUser(tx, userId);
    const row = await tx.trx
      .selectFrom("tbl_upload")
      .selectAll()
      .where("id", "=", id)
      .where("user_id", "=", userId)
      .where("state", "=", "open")
      .executeTakeFirst();
    // It has ended meanwhile: that is the last that is told of it.
    if (row === undefined) return {};
    const { parent_id: parentId, file_name: name, size_bytes: sizeBytes, part_count: partCount } = row;
    await noteUpload(tx, { id, userId, parentId, name, sizeBytes, partCount, state: row.state }, partsDone);
    return {};
  },

  async "change.prune"({ trx }, { createdBeforeMs, limit }) {
    const rows = await trx
      .selectFrom("tbl_change")
      .select("id")
      .where("created_at", "<", createdBeforeMs)
      .orderBy("id")
      .limit(limit)
      .execute();
    const last = rows.at(-1)?.id;
    if (last === undefined) return { deleted: 0, more: false };
    const done = await trx.deleteFrom("tbl_change").where("id", "<", last).executeTakeFirst();
    return { deleted: Number(done.numDeletedRows), more: rows.length === limit };
  },
};
