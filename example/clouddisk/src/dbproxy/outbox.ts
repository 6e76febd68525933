import type { TransferState } from "./actions.js";
import { lockContent } from "./contents.js";
import type { Implementations, Tx } from "./transaction.js";

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
async function turn({ trx, nowMs }: Tx, id: number, kind: "put" | "delete", node: string): Promise<void> {
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
    .where("id", "=", id)
    .execute();
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

type OutboxActions = `outbox.${"claim" | "renew" | "done" | "retry" | "wake" | "status" | "depth"}`;

export const outboxActions: Pick<Implementations, OutboxActions> = {
  async "outbox.claim"({ trx, nowMs, lock }, { node, owner, limit, leaseMs }) {
    const due = await lock(
      trx
        .selectFrom("tbl_outbox")
        .selectAll()
        .where("failed", "=", 0)
        .where("next_attempt", "<=", nowMs)
        .where("lease_until", "<=", nowMs)
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
      jobs: due.map((job) => ({
        id: job.id,
        kind: job.kind,
        fileHash: job.file_hash,
        sizeBytes: job.size_bytes,
        node: job.node,
        attempts: job.attempts + 1,
      })),
    };
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
        await turn(tx, id, "delete", content.node);
        return { held: true };
      }
      if (job.kind === "delete" && !gone) {
        await ours.set({ state: "local" }).execute();
        await turn(tx, id, "put", content.node);
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
      await turn(tx, id, gone ? "delete" : "put", content?.node ?? job.node);
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

  async "outbox.wake"({ trx, nowMs }, { fileHash }) {
    let change = trx
      .updateTable("tbl_outbox")
      .set({ next_attempt: nowMs, failed: 0 })
      .where("lease_until", "<=", nowMs);
    if (fileHash !== undefined) change = change.where("file_hash", "=", fileHash);
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
