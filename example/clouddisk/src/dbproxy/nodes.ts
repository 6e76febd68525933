import type { Implementations } from "./transaction.js";

export const nodeActions: Pick<Implementations, "node.announce" | "node.find"> = {
  async "node.announce"({ trx, nowMs, lock }, { node, kind, url, ttlMs }) {
    const said = { url, valid_until: nowMs + ttlMs };
    const known = await lock(
      trx.selectFrom("tbl_node").select("node").where("node", "=", node).where("kind", "=", kind),
    ).executeTakeFirst();
    if (known === undefined) {
      await trx
        .insertInto("tbl_node")
        .values({ node, kind, ...said })
        .execute();
    } else {
      await trx.updateTable("tbl_node").set(said).where("node", "=", node).where("kind", "=", kind).execute();
    }
    return {};
  },

  async "node.find"({ trx, nowMs }, { node, kind }) {
    const row = await trx
      .selectFrom("tbl_node")
      .select(["url", "valid_until"])
      .where("node", "=", node)
      .where("kind", "=", kind)
      .executeTakeFirst();
    return { url: row !== undefined && row.valid_until > nowMs ? row.url : null };
  },
};
