import type { Selectable } from "kysely";
import { userKey } from "../common/user-names.js";
import type { UserRow } from "./actions.js";
import type { Tables } from "./tables.js";
import type { Implementations, Tx } from "./transaction.js";

function toUser(row: Selectable<Tables["tbl_user"]>): UserRow {
  return {
    id: row.id,
    username: row.user_name,
    passwordHash: row.user_pwd,
    signupAtMs: row.signup_at,
    lastActiveMs: row.last_active,
    quotaBytes: row.quota_bytes,
    usedBytes: row.used_bytes,
  };
}

/** Holds the user's row for the rest of the transaction: changes of one user's files happen one after the other. */
export async function lockUser({ trx, lock }: Tx, userId: number): Promise<UserRow | undefined> {
  const row = await lock(trx.selectFrom("tbl_user").selectAll().where("id", "=", userId)).executeTakeFirst();
  return row && toUser(row);
}

/** False, and nothing changed: it would exceed the quota. A negative number gives back. */
export async function takeQuota({ trx }: Tx, userId: number, sizeBytes: number): Promise<boolean> {
  const change = trx
    .updateTable("tbl_user")
    .set((eb) => ({ used_bytes: eb("used_bytes", "+", sizeBytes) }))
    .where("id", "=", userId);
  const checked =
    sizeBytes > 0
      ? change.where((eb) => eb(eb("used_bytes", "+", sizeBytes), "<=", eb.ref("quota_bytes")))
      : change;
  const { numUpdatedRows } = await checked.executeTakeFirst();
  return numUpdatedRows === 1n || sizeBytes === 0;
}

type UserActions =
  | `user.${"create" | "find" | "get" | "first"}`
  | `session.${"create" | "find" | "delete" | "deleteExpired"}`
  | "secret.get"
  | `challenge.${"create" | "take" | "deleteExpired"}`
  | "lease.take";

export const userActions: Pick<Implementations, UserActions> = {
  async "user.create"({ trx, nowMs, lock }, { username, passwordHash, quotaBytes }) {
    const found = await lock(
      trx.selectFrom("tbl_user").select("id").where("name_key", "=", userKey(username)),
    ).executeTakeFirst();
    if (found !== undefined) return { created: false, id: found.id };
    const { insertId } = await trx
      .insertInto("tbl_user")
      .values({
        user_name: username,
        name_key: userKey(username),
        user_pwd: passwordHash,
        signup_at: nowMs,
        last_active: nowMs,
        quota_bytes: quotaBytes,
        used_bytes: 0,
      })
      .executeTakeFirstOrThrow();
    return { created: true, id: Number(insertId) };
  },

  async "user.find"({ trx }, { username }) {
    const users = trx.selectFrom("tbl_user").selectAll();
    // Names that differ in case alone were two users once: those are found by what they are exactly.
    const row =
      (await users.where("user_name", "=", username).executeTakeFirst()) ??
      (await users.where("name_key", "=", userKey(username)).executeTakeFirst());
    return { user: row === undefined ? null : toUser(row) };
  },

  async "user.get"({ trx }, { userId }) {
    const row = await trx.selectFrom("tbl_user").selectAll().where("id", "=", userId).executeTakeFirst();
    return { user: row === undefined ? null : toUser(row) };
  },

  async "user.first"({ trx }) {
    const row = await trx.selectFrom("tbl_user").select("id").orderBy("id").limit(1).executeTakeFirst();
    return { id: row?.id ?? null };
  },

  async "session.create"({ trx, nowMs }, { userId, tokenHash, expiresAtMs }) {
    await trx
      .insertInto("tbl_user_token")
      .values({ token_hash: tokenHash, user_id: userId, created_at: nowMs, expires_at: expiresAtMs })
      .execute();
    await trx.updateTable("tbl_user").set({ last_active: nowMs }).where("id", "=", userId).execute();
    return {};
  },

  async "session.find"({ trx, nowMs }, { tokenHash }) {
    const row = await trx
      .selectFrom("tbl_user_token")
      .innerJoin("tbl_user", "tbl_user.id", "tbl_user_token.user_id")
      .select(["user_id", "user_name", "expires_at"])
      .where("token_hash", "=", tokenHash)
      .where("expires_at", ">", nowMs)
      .executeTakeFirst();
    if (row === undefined) return { session: null };
    return { session: { userId: row.user_id, username: row.user_name, expiresAtMs: row.expires_at } };
  },

  async "session.delete"({ trx, notes }, { tokenHash }) {
    const sessions = trx.selectFrom("tbl_user_token").select("user_id");
    const row = await sessions.where("token_hash", "=", tokenHash).executeTakeFirst();
    if (row !== undefined) notes.changed(row.user_id, true);
    const done = await trx
      .deleteFrom("tbl_user_token")
      .where("token_hash", "=", tokenHash)
      .executeTakeFirst();
    return { deleted: Number(done.numDeletedRows) };
  },

  async "session.deleteExpired"({ trx, nowMs }) {
    const done = await trx.deleteFrom("tbl_user_token").where("expires_at", "<=", nowMs).executeTakeFirst();
    return { deleted: Number(done.numDeletedRows) };
  },

  async "secret.get"({ trx, lock }, { name, proposed }) {
    const row = await lock(
      trx.selectFrom("tbl_secret").select("value").where("name", "=", name),
    ).executeTakeFirst();
    if (row !== undefined) return row;
    await trx.insertInto("tbl_secret").values({ name, value: proposed }).execute();
    return { value: proposed };
  },

  async "challenge.create"({ trx }, { id, userId, fileHash, question, expiresAtMs }) {
    await trx
      .insertInto("tbl_challenge")
      .values({ id, user_id: userId, file_hash: fileHash, question, expires_at: expiresAtMs })
      .execute();
    return {};
  },

  async "challenge.take"({ trx, nowMs, lock }, { id, userId, fileHash }) {
    const row = await lock(
      trx
        .selectFrom("tbl_challenge")
        .select("question")
        .where("id", "=", id)
        .where("user_id", "=", userId)
        .where("file_hash", "=", fileHash)
        .where("expires_at", ">", nowMs),
    ).executeTakeFirst();
    if (row === undefined) return { question: null };
    await trx.deleteFrom("tbl_challenge").where("id", "=", id).execute();
    return row;
  },

  async "challenge.deleteExpired"({ trx, nowMs }) {
    const done = await trx.deleteFrom("tbl_challenge").where("expires_at", "<=", nowMs).executeTakeFirst();
    return { deleted: Number(done.numDeletedRows) };
  },

  async "lease.take"({ trx, nowMs, lock }, { name, owner, leaseMs }) {
    const lease = { owner, lease_until: nowMs + leaseMs };
    const row = await lock(
      trx.selectFrom("tbl_lease").selectAll().where("name", "=", name),
    ).executeTakeFirst();
    if (row === undefined) {
      await trx
        .insertInto("tbl_lease")
        .values({ name, ...lease })
        .execute();
      return { taken: true };
    }
    if (row.owner !== owner && row.lease_until > nowMs) return { taken: false };
    await trx.updateTable("tbl_lease").set(lease).where("name", "=", name).execute();
    return { taken: true };
  },
};
