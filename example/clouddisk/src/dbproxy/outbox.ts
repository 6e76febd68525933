import type { Selectable } from "kysely";
import type { OutboxJob, TransferState } from "./actions.js";
import { lockContent, wakeJob } from "./contents.js";
import type { Tables } from "./tables.js";
import type { Implementations, Tx } from "./transaction.js";

type JobRow = Selectable<Tables["tbl_outbox"]>;

/** The job, when it is still this owner's; its content is locked before it. */
async function lockHeld(tx: Tx, id: number, owner: string) {
  const { trx, lock } = tx;
  const seen = await trx.selectFrom("tbl_outbox").select("file_hash").where("id", "=", id).executeTakeFirst();
  if (seen === undefined) return undefined;
  const content = await lockContent(tx, seen.file_hash);
  const job = await lock(
    trx.selectFrom("tbl_outbox").selectAll().where("id", "=", id).where("owner", "=", owner),
  ).executeTakeFirst();
  return job && { job, content };
}

/** The job turns into the other kind, due at once. */
async function turn(tx: Tx, job: JobRow, kind: "put" | "delete", node: string): Promise<void> {
  const { trx, nowMs, notes } = tx;
  notes.due(job.file_hash, { kind, node });
  await trx
    .updateTable("tbl_outbox")
    .set({
      kind,
      node,
      attempts: 0,
      last_error: "",
      next_attempt: nowMs,
      owner: "",
      lease_until: 0,
      failed: 0,
    })
    .where("id", "=", job.id)
    .execute();
}

function toJob(row: JobRow): OutboxJob {
  return {
    id: row.id,
    kind: row.kind,
    fileHash: row.file_hash,
    sizeBytes: row.size_bytes,
    node: row.node,
    attempts: row.attempts + 1,
  };
}

export function transferState(
  content: { state: string } | undefined,
  job: { failed: number | null; lease_until: number | null } | undefined,
  nowMs: number,
): TransferState | "" {
  if (content === undefined || content.state === "deleting") return "";
  if (content.state === "stored") return "stored";
  if (job?.failed === 1) return "failed";
  return (job?.lease_until ?? 0) > nowMs ? "storing" : "local";
}

type OutboxActions = `outbox.${"claim" | "take" | "renew" | "done" | "retry" | "wake" | "status" | "depth"}`;

export const outboxActions: Pick<Implementations, OutboxActions> = {
  async "outbox.claim"({ trx, nowMs, lock }, { node, owner, limit, leaseMs, dueForMs = 0 }) {
    const due = await lock(
      trx
        .selectFrom("tbl_outbox")
        .selectAll()
        .where("failed", "=", 0)
        .where("next_attempt", "<=", nowMs)
        .where("lease_until", "<=", nowMs)
        // One that has an owner was begun, and is due as soon as its lease is over.
        .where((eb) => eb.or([eb("owner", "<>", ""), eb("next_attempt", "<=", nowMs - dueForMs)]))
        .where((eb) => eb.or([eb("kind", "=", "delete"), eb("node", "=", node)]))
        .orderBy("next_attempt")
        .orderBy("id")
        .limit(limit),
    ).execute();
    if (due.length > 0) {
      await trx
        .updateTable("tbl_outbox")
        .set((eb) => ({ owner, lease_until: nowMs + leaseMs, attempts: eb("attempts", "+", 1) }))
        .where(
          "id",
          "in",
          due.map((job) => job.id),
        )
        .execute();
    }
    return {
      jobs: due.map(toJob),
    };
  },

  async "outbox.take"({ trx, nowMs, lock }, { fileHash, node, owner, leaseMs }) {
    const job = await lock(
      trx
        .selectFrom("tbl_outbox")
        .selectAll()
        .where("file_hash", "=", fileHash)
        .where((eb) => eb.or([eb("kind", "=", "delete"), eb("node", "=", node)])),
    ).executeTakeFirst();
    if (job === undefined) return { job: null, heldForMs: 0 };
    if (job.lease_until > nowMs) return { job: null, heldForMs: job.lease_until - nowMs };
    await trx
      .updateTable("tbl_outbox")
      .set({ owner, lease_until: nowMs + leaseMs, attempts: job.attempts + 1, failed: 0 })
      .where("id", "=", job.id)
      .execute();
    return { job: toJob(job), heldForMs: 0 };
  },

  async "outbox.renew"({ trx, nowMs }, { id, owner, leaseMs }) {
    const done = await trx
      .updateTable("tbl_outbox")
      .set({ lease_until: nowMs + leaseMs })
      .where("id", "=", id)
      .where("owner", "=", owner)
      .executeTakeFirst();
    return { held: done.numUpdatedRows === 1n };
  },

  async "outbox.done"(tx, { id, owner }) {
    const held = await lockHeld(tx, id, owner);
    if (held === undefined) return { held: false };
    const { job, content } = held;
    const { trx } = tx;
    if (content !== undefined) {
      const ours = trx.updateTable("tbl_file").where("file_hash", "=", job.file_hash);
      const gone = content.state === "deleting";
      if (job.kind === "put" && gone) {
        await turn(tx, job, "delete", content.node);
        return { held: true };
      }
      if (job.kind === "delete" && !gone) {
        await ours.set({ state: "local" }).execute();
        await turn(tx, job, "put", content.node);
        return { held: true };
      }
      if (gone) await trx.deleteFrom("tbl_file").where("file_hash", "=", job.file_hash).execute();
      else await ours.set({ state: "stored" }).execute();
    }
    await trx.deleteFrom("tbl_outbox").where("id", "=", id).execute();
    return { held: true };
  },

  async "outbox.retry"(tx, { id, owner, error, nextAttemptMs, failed }) {
    const held = await lockHeld(tx, id, owner);
    if (held === undefined) return { held: false };
    const { job, content } = held;
    const gone = content === undefined || content.state === "deleting";
    // What the job was about may have changed while it ran.
    if ((job.kind === "put") === gone) {
      await turn(tx, job, gone ? "delete" : "put", content?.node ?? job.node);
      return { held: true };
    }
    await tx.trx
      .updateTable("tbl_outbox")
      .set({
        last_error: error,
        next_attempt: nextAttemptMs,
        owner: "",
        lease_until: 0,
        failed: failed ? 1 : 0,
      })
      .where("id", "=", id)
      .execute();
    return { held: true };
  },

  async "outbox.wake"(tx, { fileHash }) {
    if (fileHash !== undefined) return { woken: await wakeJob(tx, fileHash) };
    const { trx, nowMs } = tx;
    const change = trx
      .updateTable("tbl_outbox")
      .set({ next_attempt: nowMs, failed: 0 })
      .where("lease_until", "<=", nowMs);
    return { woken: Number((await change.executeTakeFirst()).numUpdatedRows) };
  },

  async "outbox.status"({ trx, nowMs }, { fileHash }) {
    const content = await trx
      .selectFrom("tbl_file")
      .select("state")
      .where("file_hash", "=", fileHash)
      .executeTakeFirst();
    const job = await trx
      .selectFrom("tbl_outbox")
      .selectAll()
      .where("file_hash", "=", fileHash)
      .executeTakeFirst();
    return {
      state: transferState(content, job, nowMs),
      attempts: job?.attempts ?? 0,
      lastError: job?.last_error ?? "",
      nextAttemptMs: job?.failed === 0 ? job.next_attempt : 0,
    };
  },

  async "outbox.depth"({ trx, nowMs }) {
    const rows = await trx.selectFrom("tbl_outbox").select(["failed", "lease_until"]).execute();
    const failed = rows.filter((row) => row.failed === 1).length;
    const running = rows.filter((row) => row.failed === 0 && row.lease_until > nowMs).length;
    return { waiting: rows.length - failed - running, running, failed };
  },
};
