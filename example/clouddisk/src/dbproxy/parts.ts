import type { Implementations } from "./transaction.js";

type PartActions = `part.${"claim" | "record" | "release" | "list" | "clear"}`;

export const partActions: Pick<Implementations, PartActions> = {
  async "part.claim"({ trx, nowMs, lock }, { uploadId, index, owner, leaseMs }) {
    const claim = { part_hash: "", owner, lease_until: nowMs + leaseMs };
    const row = await lock(
      trx
        .selectFrom("tbl_upload_part")
        .selectAll()
        .where("upload_id", "=", uploadId)
        .where("part_index", "=", index),
    ).executeTakeFirst();
    if (row === undefined) {
      await trx
        .insertInto("tbl_upload_part")
        .values({ upload_id: uploadId, part_index: index, ...claim })
        .execute();
      return { outcome: "claimed" };
    }
    if (row.part_hash !== "") return { outcome: "recorded", partHash: row.part_hash };
    if (row.owner !== owner && row.lease_until > nowMs) return { outcome: "busy", owner: row.owner };
    await trx
      .updateTable("tbl_upload_part")
      .set(claim)
      .where("upload_id", "=", uploadId)
      .where("part_index", "=", index)
      .execute();
    return { outcome: "claimed" };
  },

  async "part.record"({ trx }, { uploadId, index, owner, partHash }) {
    const done = await trx
      .updateTable("tbl_upload_part")
      .set({ part_hash: partHash, lease_until: 0 })
      .where("upload_id", "=", uploadId)
      .where("part_index", "=", index)
      .where("owner", "=", owner)
      .where("part_hash", "=", "")
      .executeTakeFirst();
    return { recorded: done.numUpdatedRows === 1n };
  },

  async "part.release"({ trx }, { uploadId, index, owner }) {
    await trx
      .deleteFrom("tbl_upload_part")
      .where("upload_id", "=", uploadId)
      .where("part_index", "=", index)
      .where("owner", "=", owner)
      .where("part_hash", "=", "")
      .execute();
    return {};
  },

  async "part.list"({ trx, nowMs }, { uploadId }) {
    const rows = await trx
      .selectFrom("tbl_upload_part")
      .select(["part_index", "part_hash", "lease_until"])
      .where("upload_id", "=", uploadId)
      .orderBy("part_index")
      .execute();
    return {
      parts: rows
        .filter((row) => row.part_hash !== "")
        .map((row) => ({ index: row.part_index, partHash: row.part_hash })),
      claims: rows.filter((row) => row.part_hash === "" && row.lease_until > nowMs).length,
    };
  },

  async "part.clear"({ trx }, { uploadId }) {
    await trx.deleteFrom("tbl_upload_part").where("upload_id", "=", uploadId).execute();
    return {};
  },
};
