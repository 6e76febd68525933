import type { Selectable } from "kysely";
import type { EntryRow, UploadRow } from "./actions.js";
import { noteUpload } from "./changes.js";
import { holdStaged, wakeJob } from "./contents.js";
import { entryById, insertName, isFolder, named, numbered, sameFile } from "./entry-rows.js";
import type { Tables } from "./tables.js";
import type { Implementations, Tx } from "./transaction.js";
import { lockUser, takeQuota } from "./users.js";

type Row = Selectable<Tables["tbl_upload"]>;

function toUpload(row: Row): UploadRow {
  return {
    id: row.id,
    userId: row.user_id,
    fileHash: row.file_hash,
    sizeBytes: row.size_bytes,
    name: row.file_name,
    parentId: row.parent_id,
    partBytes: row.part_bytes,
    partCount: row.part_count,
    node: row.node,
    state: row.state,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    entryId: row.entry_id,
  };
}

function lockUpload({ trx, lock }: Tx, id: string): Promise<Row | undefined> {
  return lock(trx.selectFrom("tbl_upload").selectAll().where("id", "=", id)).executeTakeFirst();
}

async function change({ trx, nowMs }: Tx, id: string, to: Partial<Omit<Row, "id">>): Promise<void> {
  await trx
    .updateTable("tbl_upload")
    .set({ ...to, updated_at: nowMs })
    .where("id", "=", id)
    .execute();
}

/** Those in Redis end with their TTL. */
async function forgetParts({ trx }: Tx, ids: readonly string[]): Promise<void> {
  await trx.deleteFrom("tbl_upload_part").where("upload_id", "in", ids).execute();
}

interface Complete {
  userId: number;
  parentId: number;
  name: string;
  fileHash: string;
  sizeBytes: number;
  node: string;
}

/** The user's name for a complete content, its quota, the content itself and its way into the store. The user is locked. */
async function addFile(tx: Tx, file: Complete): Promise<{ entry: EntryRow; staged: boolean } | undefined> {
  const { userId, parentId, fileHash, sizeBytes } = file;
  const taken = await named(tx, userId, parentId, file.name);
  const same = await sameFile(tx, taken, fileHash);
  if (same !== undefined) {
    await wakeJob(tx, fileHash);
    return { entry: same, staged: true };
  }
  if (!(await takeQuota(tx, userId, sizeBytes))) return undefined;
  const staged = await holdStaged(tx, file);
  const name = taken === undefined ? file.name : await numbered(tx, userId, parentId, file.name);
  const id = await insertName(tx, { userId, parentId, name, folder: false, fileHash, sizeBytes });
  return { entry: await entryById(tx, id), staged };
}

type Opening = `upload.${"create" | "get" | "peek" | "open" | "touch" | "whole"}`;

const opening: Pick<Implementations, Opening> = {
  async "upload.create"(tx, params) {
    const { trx, nowMs } = tx;
    const user = await lockUser(tx, params.userId);
    const { quotaBytes = 0, usedBytes = 0 } = user ?? {};
    if (!(await isFolder(tx, params.userId, params.parentId)))
      return { outcome: "no_parent", quotaBytes, usedBytes };
    const { open, count } = await trx
      .selectFrom("tbl_upload")
      .select(({ fn }) => [fn.sum<number | null>("size_bytes").as("open"), fn.countAll<number>().as("count")])
      .where("user_id", "=", params.userId)
      .where("state", "in", ["open", "merging"])
      .executeTakeFirstOrThrow();
    if (params.openMax !== undefined && Number(count) >= params.openMax)
      return { outcome: "too_many", quotaBytes, usedBytes };
    if (usedBytes + Number(open ?? 0) + params.sizeBytes > quotaBytes)
      return { outcome: "quota", quotaBytes, usedBytes };
    await trx
      .insertInto("tbl_upload")
      .values({
        id: params.id,
        user_id: params.userId,
        file_hash: params.fileHash,
        size_bytes: params.sizeBytes,
        file_name: params.name,
        parent_id: params.parentId,
        part_bytes: params.partBytes,
        part_count: params.partCount,
        node: params.node,
        state: "open",
        created_at: nowMs,
        updated_at: nowMs,
        entry_id: 0,
        owner: "",
        lease_until: 0,
      })
      .execute();
    await noteUpload(tx, { ...params, state: "open" }, 0);
    return { outcome: "ok", quotaBytes, usedBytes };
  },

  async "upload.get"({ trx }, { id, userId }) {
    const row = await trx
      .selectFrom("tbl_upload")
      .selectAll()
      .where("id", "=", id)
      .where("user_id", "=", userId)
      .executeTakeFirst();
    return { upload: row === undefined ? null : toUpload(row) };
  },

  async "upload.peek"({ trx }, { id }) {
    const row = await trx.selectFrom("tbl_upload").selectAll().where("id", "=", id).executeTakeFirst();
    return { upload: row === undefined ? null : toUpload(row) };
  },

  async "upload.open"({ trx }, { userId, file, limit }) {
    let query = trx
      .selectFrom("tbl_upload")
      .selectAll()
      .where("user_id", "=", userId)
      .where("state", "in", ["open", "merging"]);
    if (file !== undefined) {
      query = query
        .where("file_hash", "=", file.fileHash)
        .where("size_bytes", "=", file.sizeBytes)
        .where("file_name", "=", file.name)
        .where("parent_id", "=", file.parentId);
    }
    const rows = await query.orderBy("created_at", "desc").orderBy("id").limit(limit).execute();
    return { uploads: rows.map(toUpload) };
  },

  async "upload.touch"({ trx, nowMs }, { id }) {
    const done = await trx
      .updateTable("tbl_upload")
      .set({ updated_at: nowMs })
      .where("id", "=", id)
      .where("state", "=", "open")
      .executeTakeFirst();
    return { open: done.numUpdatedRows === 1n };
  },

  async "upload.whole"(tx, params) {
    await lockUser(tx, params.userId);
    if (!(await isFolder(tx, params.userId, params.parentId))) return { outcome: "no_parent" };
    const { userId, parentId, name } = params;
    if (params.onConflict === "fail" && (await named(tx, userId, parentId, name)) !== undefined)
      return { outcome: "no_parent" };
    const added = await addFile(tx, params);
    return added === undefined ? { outcome: "quota" } : { outcome: "ok", ...added };
  },
};

type Merging = `upload.${"startMerge" | "stopMerge" | "finish" | "cancel" | "expire"}`;

const merging: Pick<Implementations, Merging> = {
  async "upload.startMerge"(tx, { id, userId, owner, leaseMs }) {
    const row = await lockUpload(tx, id);
    if (row === undefined || row.user_id !== userId) return { outcome: "not_found" };
    if (row.state === "done") {
      const entry = await tx.trx
        .selectFrom("tbl_user_file")
        .select("id")
        .where("id", "=", row.entry_id)
        .executeTakeFirst();
      return {
        outcome: "done",
        upload: toUpload(row),
        entry: entry === undefined ? null : await entryById(tx, entry.id),
      };
    }
    if (row.state === "merging" && row.owner !== owner && row.lease_until > tx.nowMs)
      return { outcome: "busy", owner: row.owner };
    if (row.state !== "open" && row.state !== "merging") return { outcome: "closed" };
    await change(tx, id, { state: "merging", owner, lease_until: tx.nowMs + leaseMs });
    return { outcome: "started", upload: { ...toUpload(row), state: "merging" } };
  },

  async "upload.stopMerge"(tx, { id, owner }) {
    const row = await lockUpload(tx, id);
    if (row?.state !== "merging" || row.owner !== owner) return { stopped: false };
    await change(tx, id, { state: "open", owner: "", lease_until: 0 });
    return { stopped: true };
  },

  async "upload.finish"(tx, { id, owner }) {
    const seen = await tx.trx
      .selectFrom("tbl_upload")
      .select("user_id")
      .where("id", "=", id)
      .executeTakeFirst();
    if (seen === undefined) return { outcome: "lost" };
    await lockUser(tx, seen.user_id);
    const row = await lockUpload(tx, id);
    if (row?.state !== "merging" || row.owner !== owner) return { outcome: "lost" };
    const upload = toUpload(row);
    // The folder may have gone to the trash since: the file is not lost with it.
    const parentId = (await isFolder(tx, row.user_id, row.parent_id)) ? row.parent_id : 0;
    const added = await addFile(tx, { ...upload, parentId });
    if (added === undefined) return { outcome: "quota" };
    await change(tx, id, { state: "done", entry_id: added.entry.id, owner: "", lease_until: 0 });
    await forgetParts(tx, [id]);
    await noteUpload(tx, { ...upload, parentId, state: "done" }, upload.partCount);
    return { outcome: "ok", ...added };
  },

  async "upload.cancel"(tx, { id, userId }) {
    await lockUser(tx, userId);
    const row = await lockUpload(tx, id);
    if (row === undefined || row.user_id !== userId) return { outcome: "not_found" };
    if (row.state === "merging" && row.lease_until > tx.nowMs) return { outcome: "busy" };
    if (row.state !== "open" && row.state !== "merging") return { outcome: "closed" };
    await change(tx, id, { state: "cancelled", owner: "", lease_until: 0 });
    await forgetParts(tx, [id]);
    await noteUpload(tx, { ...toUpload(row), state: "cancelled" }, 0);
    return { outcome: "ok" };
  },

  async "upload.expire"(tx, { node, touchedBeforeMs, limit }) {
    const rows = await tx
      .lock(
        tx.trx
          .selectFrom("tbl_upload")
          .select("id")
          .where("node", "=", node)
          .where("state", "in", ["open", "merging"])
          .where("updated_at", "<", touchedBeforeMs)
          .where("lease_until", "<=", tx.nowMs)
          .orderBy("id")
          .limit(limit),
      )
      .execute();
    const ids = rows.map((row) => row.id);
    if (ids.length > 0) {
      const change = { state: "expired" as const, updated_at: tx.nowMs };
      await tx.trx.updateTable("tbl_upload").set(change).where("id", "in", ids).execute();
      await forgetParts(tx, ids);
    }
    const closed = await tx.trx
      .selectFrom("tbl_upload")
      .select("id")
      .where("node", "=", node)
      .where("state", "in", ["done", "cancelled", "expired"])
      .where("updated_at", "<", touchedBeforeMs)
      .where("id", "not in", ["", ...ids])
      .orderBy("id")
      .limit(limit)
      .execute();
    const old = closed.map((row) => row.id);
    if (old.length > 0) await tx.trx.deleteFrom("tbl_upload").where("id", "in", old).execute();
    return { ids };
  },
};

export const uploadActions = { ...opening, ...merging };
