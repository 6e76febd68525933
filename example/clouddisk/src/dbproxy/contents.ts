import type { Selectable } from "kysely";
import type { ContentRow } from "./actions.js";
import type { Tables } from "./tables.js";
import type { Implementations, Tx } from "./transaction.js";

/** Rows of one insert: SQLite takes so many values in one statement. */
const insertMax = 100;

type FileRow = Selectable<Tables["tbl_file"]>;

function toContent(row: FileRow): ContentRow {
  return {
    fileHash: row.file_hash,
    sizeBytes: row.size_bytes,
    state: row.state,
    node: row.node,
    refCount: row.ref_count,
  };
}

/** Contents are locked before their jobs, everywhere. */
export function lockContent({ trx, lock }: Tx, fileHash: string): Promise<FileRow | undefined> {
  return lock(trx.selectFrom("tbl_file").selectAll().where("file_hash", "=", fileHash)).executeTakeFirst();
}

interface NewJob {
  kind: "put" | "delete";
  fileHash: string;
  sizeBytes: number;
  node: string;
}

/**
 * Makes these their contents' jobs. One that a worker has in its hands stays: what it was about is looked at again when it is
 * done.
 */
async function planAll(tx: Tx, jobs: readonly NewJob[]): Promise<void> {
  const { trx, nowMs, lock, notes } = tx;
  const fresh = { attempts: 0, last_error: "", next_attempt: nowMs, failed: 0, owner: "", lease_until: 0 };
  const hashes = jobs.map(({ fileHash }) => fileHash);
  const rows = await lock(
    trx
      .selectFrom("tbl_outbox")
      .select(["id", "file_hash", "lease_until"])
      .where("file_hash", "in", hashes)
      .orderBy("file_hash"),
  ).execute();
  const known = new Map(rows.map((row) => [row.file_hash, row]));
  const added = jobs.filter(({ fileHash }) => !known.has(fileHash));
  for (const job of added) notes.due(job.fileHash, job);
  for (let start = 0; start < added.length; start += insertMax) {
    await trx
      .insertInto("tbl_outbox")
      .values(
        added.slice(start, start + insertMax).map(({ kind, fileHash, sizeBytes, node }) => ({
          ...fresh,
          kind,
          file_hash: fileHash,
          size_bytes: sizeBytes,
          node,
          created_at: nowMs,
        })),
      )
      .execute();
  }
  for (const { kind, fileHash, sizeBytes, node } of jobs) {
    const row = known.get(fileHash);
    if (row === undefined || row.lease_until > nowMs) continue;
    notes.due(fileHash, { kind, node });
    await trx
      .updateTable("tbl_outbox")
      .set({ ...fresh, kind, size_bytes: sizeBytes, node })
      .where("id", "=", row.id)
      .execute();
  }
}

export function plan(tx: Tx, job: NewJob): Promise<void> {
  return planAll(tx, [job]);
}

/** A job that waits for its next attempt, or was given up, has a new reason to be tried. Gives how many those are. */
export async function wakeJob({ trx, nowMs, notes }: Tx, fileHash: string): Promise<number> {
  const done = await trx
    .updateTable("tbl_outbox")
    .set({ next_attempt: nowMs, failed: 0 })
    .where("file_hash", "=", fileHash)
    .where("lease_until", "<=", nowMs)
    .executeTakeFirst();
  const woken = Number(done.numUpdatedRows);
  if (woken === 0) return woken;
  const jobs = trx.selectFrom("tbl_outbox").select(["kind", "node"]);
  const job = await jobs.where("file_hash", "=", fileHash).executeTakeFirst();
  if (job !== undefined) notes.due(fileHash, job);
  return woken;
}

/** One more name for a content whose bytes are staged on `node`. True: the staged copy is needed. */
export async function holdStaged(
  tx: Tx,
  { fileHash, sizeBytes, node }: Omit<NewJob, "kind">,
): Promise<boolean> {
  const { trx, nowMs } = tx;
  const content = await lockContent(tx, fileHash);
  if (content === undefined) {
    await trx
      .insertInto("tbl_file")
      .values({
        file_hash: fileHash,
        size_bytes: sizeBytes,
        state: "local",
        node,
        ref_count: 1,
        created_at: nowMs,
      })
      .execute();
    await plan(tx, { kind: "put", fileHash, sizeBytes, node });
    return true;
  }
  if (content.state !== "deleting") {
    await changeReferences(tx, [fileHash], 1);
    if (content.state === "local") await wakeJob(tx, fileHash);
    return content.state === "local" && content.node === node;
  }
  await trx
    .updateTable("tbl_file")
    .set({ state: "local", node, ref_count: 1 })
    .where("file_hash", "=", fileHash)
    .execute();
  await plan(tx, { kind: "put", fileHash, sizeBytes, node });
  return true;
}

/** One more name for a content that is there already; false when it is not, or is going. */
export async function holdExisting(tx: Tx, fileHash: string): Promise<FileRow | undefined> {
  const content = await lockContent(tx, fileHash);
  if (content === undefined || content.state === "deleting") return undefined;
  await changeReferences(tx, [fileHash], 1);
  return content;
}

async function changeReferences({ trx }: Tx, hashes: readonly string[], by: number): Promise<void> {
  await trx
    .updateTable("tbl_file")
    .set((eb) => ({ ref_count: eb("ref_count", "+", by) }))
    .where("file_hash", "in", hashes)
    .execute();
}

/** Names less, by hash and how many. A content nobody holds any more goes. In the order of their hashes, as everybody locks them. */
export async function releaseAll(tx: Tx, names: ReadonlyMap<string, number>): Promise<void> {
  const { trx, lock } = tx;
  const hashes = [...names.keys()].sort();
  if (hashes.length === 0) return;
  const contents = await lock(
    trx.selectFrom("tbl_file").selectAll().where("file_hash", "in", hashes).orderBy("file_hash"),
  ).execute();
  const gone: FileRow[] = [];
  const lessBy = new Map<number, string[]>();
  for (const content of contents) {
    const count = names.get(content.file_hash) ?? 0;
    if (content.ref_count <= count) gone.push(content);
    else lessBy.set(count, [...(lessBy.get(count) ?? []), content.file_hash]);
  }
  for (const [count, some] of lessBy) await changeReferences(tx, some, -count);
  if (gone.length === 0) return;
  await trx
    .updateTable("tbl_file")
    .set({ ref_count: 0, state: "deleting" })
    .where(
      "file_hash",
      "in",
      gone.map((content) => content.file_hash),
    )
    .execute();
  await planAll(
    tx,
    gone.map(({ file_hash: fileHash, size_bytes: sizeBytes, node }) => ({
      kind: "delete",
      fileHash,
      sizeBytes,
      node,
    })),
  );
}

async function recountContents(tx: Tx): Promise<number> {
  const { trx } = tx;
  const rows = await trx
    .selectFrom("tbl_file as f")
    .leftJoin("tbl_user_file as e", "e.file_hash", "f.file_hash")
    .select(({ fn }) => ["f.file_hash", "f.ref_count", "f.state", fn.count<number>("e.id").as("names")])
    .groupBy(["f.file_hash", "f.ref_count", "f.state"])
    .execute();
  let wrong = 0;
  for (const { file_hash: fileHash, ref_count: counted, names, state } of rows) {
    const real = Number(names);
    if (real === counted && (real > 0 || state === "deleting")) continue;
    wrong++;
    if (real === 0) await releaseAll(tx, new Map([[fileHash, counted]]));
    else await changeReferences(tx, [fileHash], real - counted);
  }
  return wrong;
}

async function recountUsers({ trx }: Tx): Promise<number> {
  const rows = await trx
    .selectFrom("tbl_user as u")
    .leftJoin("tbl_user_file as e", "e.user_id", "u.id")
    .select(({ fn }) => ["u.id", "u.used_bytes", fn.sum<number | null>("e.size_bytes").as("real")])
    .groupBy(["u.id", "u.used_bytes"])
    .execute();
  const wrong = rows.filter((row) => Number(row.real ?? 0) !== row.used_bytes);
  for (const { id, real } of wrong) {
    await trx
      .updateTable("tbl_user")
      .set({ used_bytes: Number(real ?? 0) })
      .where("id", "=", id)
      .execute();
  }
  return wrong.length;
}

type ContentActions = `content.${"get" | "page" | "repair" | "recount"}`;

export const contentActions: Pick<Implementations, ContentActions> = {
  async "content.get"({ trx }, { fileHash }) {
    const row = await trx
      .selectFrom("tbl_file")
      .selectAll()
      .where("file_hash", "=", fileHash)
      .executeTakeFirst();
    return { content: row === undefined ? null : toContent(row) };
  },

  async "content.page"({ trx }, { afterHash, limit }) {
    const rows = await trx
      .selectFrom("tbl_file")
      .selectAll()
      .where("file_hash", ">", afterHash)
      .orderBy("file_hash")
      .limit(limit)
      .execute();
    return { contents: rows.map(toContent) };
  },

  async "content.repair"(tx, { fileHash, node }) {
    const content = await lockContent(tx, fileHash);
    if (content === undefined || content.state === "deleting") return { repaired: false };
    await tx.trx
      .updateTable("tbl_file")
      .set({ state: "local", node })
      .where("file_hash", "=", fileHash)
      .execute();
    await plan(tx, { kind: "put", fileHash, sizeBytes: content.size_bytes, node });
    return { repaired: true };
  },

  async "content.recount"(tx) {
    return { contents: await recountContents(tx), users: await recountUsers(tx) };
  },
};
