import { setTimeout as delay } from "node:timers/promises";
import type { SelectQueryBuilder, Transaction } from "kysely";
import { RpcError, Status } from "mprpc";
import type { ActionName, ParamsOf, ResultOf } from "./actions.js";
import type { Connected } from "./connect.js";
import type { Tables } from "./tables.js";

/** What an action works with. Times come from here alone, so that all actions of a transaction agree on now. */
export interface Tx {
  readonly trx: Transaction<Tables>;
  readonly nowMs: number;
  /** Reads rows to change them: others wait. SQLite has one writer at a time, who needs no more. */
  lock<DB, T extends keyof DB, O>(query: SelectQueryBuilder<DB, T, O>): SelectQueryBuilder<DB, T, O>;
}

export type Implementation<N extends ActionName> = (tx: Tx, params: ParamsOf<N>) => Promise<ResultOf<N>>;
export type Implementations = { [N in ActionName]: Implementation<N> };

const attemptsMax = 12;

/** Deadlock, lock wait, a row that two inserted at once, a busy SQLite file: the same work succeeds a moment later. */
const passing = ["ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT", "ER_DUP_ENTRY", "ER_CHECKREAD", "SQLITE_BUSY"];
/** The server is away or going; nobody can tell whether a commit under way has happened. */
const away = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
  "EPIPE",
  "PROTOCOL_CONNECTION_LOST",
  "ER_SERVER_SHUTDOWN",
  "ER_CON_COUNT_ERROR",
  "PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR",
];

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? "");
}

function isAway(error: unknown): boolean {
  // What mysql2 says to the rollback on a connection that broke in the transaction has no code.
  const code = codeOf(error);
  return away.includes(code) || (code === "" && (error as { fatal?: unknown }).fatal === true);
}

/** Runs `work` in one transaction; again when it collided with another one. Throws RpcError UNAVAILABLE while the database is away. */
export async function inTransaction<T>({ db, mysql }: Connected, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const builder = mysql ? db.transaction().setIsolationLevel("read committed") : db.transaction();
      return await builder.execute((trx) =>
        work({ trx, nowMs: Date.now(), lock: (query) => (mysql ? query.forUpdate() : query) }),
      );
    } catch (error) {
      if (isAway(error)) throw new RpcError(Status.UNAVAILABLE, "the database is away", { cause: error });
      if (!passing.some((known) => codeOf(error).startsWith(known)) || attempt >= attemptsMax) throw error;
      await delay(Math.random() * Math.min(5 * 2 ** attempt, 200));
    }
  }
}
