import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { type SelectQueryBuilder, sql, type Transaction } from "kysely";
import { RpcError, Status } from "mprpc";
import { Notes } from "../events/notes.js";
import type { ActionName, ParamsOf, ResultOf } from "./actions.js";
import type { Connected } from "./connect.js";
import type { Tables } from "./tables.js";

/** What an action works with. Times come from here alone, so that all actions of a transaction agree on now. */
export interface Tx {
  readonly trx: Transaction<Tables>;
  readonly nowMs: number;
  /** What others are told of when it is committed. */
  readonly notes: Notes;
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

type Work<T> = (tx: Tx) => Promise<T>;

interface Waiting {
  work: Work<unknown>;
  /** Nobody is told of it outside of the disk: after a power cut it may be done again. */
  repeatable: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** No more join a commit that has worked for so long: the others of it wait. */
const groupMs = 20;
const groupMax = 64;

/** What is told of an action once its transaction is committed. */
interface Outcome {
  tell(): void;
  /** Not before it is durable. */
  waits: boolean;
}

/**
 * The one writer of SQLite. What comes while a transaction is under way goes into the next one together: each behind a
 * savepoint of its own. One wait for the disk makes all of it durable, with what else was committed by then; nobody is answered
 * before that, and the next transaction does not wait for it.
 */
class GroupCommit {
  readonly #connected: Connected;
  readonly #waiting: Waiting[] = [];
  #running = false;

  constructor(connected: Connected) {
    this.#connected = connected;
  }

  run<T>(work: Work<T>, repeatable: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, repeatable, resolve: resolve as (value: unknown) => void, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      // What arrives in the same turn of the event loop goes along.
      await nextTurn();
      await this.#commit();
    }
    this.#running = false;
  }

  /** Never rejects. */
  async #commit(): Promise<void> {
    const group: Waiting[] = [];
    const outcomes: Outcome[] = [];
    const fail = (error: unknown): void => {
      // Begun or committed in vain: each of them may try again.
      for (const { reject } of group.length === 0 ? this.#waiting.splice(0, groupMax) : group) reject(error);
    };
    try {
      await this.#connected.db.transaction().execute((trx) => this.#work(trx, group, outcomes));
    } catch (error) {
      fail(error);
      return;
    }
    for (const { tell, waits } of outcomes) if (!waits) tell();
    const waiting = outcomes.filter(({ waits }) => waits);
    if (waiting.length === 0) return;
    this.#connected.sync().then(() => {
      for (const { tell } of waiting) tell();
    }, fail);
  }

  async #work(trx: Tx["trx"], group: Waiting[], outcomes: Outcome[]): Promise<void> {
    const untilMs = performance.now() + groupMs;
    do {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      group.push(next);
      const tx: Tx = { trx, nowMs: Date.now(), notes: new Notes(), lock: (query) => query };
      // Alone it needs no savepoint: its failure is that of the transaction.
      if (group.length === 1 && this.#waiting.length === 0) {
        const value = await next.work(tx);
        outcomes.push({ tell: () => next.resolve(value), waits: !next.repeatable });
      } else outcomes.push(await apart(tx, next));
    } while (group.length < groupMax && performance.now() < untilMs);
  }
}

/** Behind a savepoint. */
async function apart(tx: Tx, { work, repeatable, resolve, reject }: Waiting): Promise<Outcome> {
  await sql`savepoint one`.execute(tx.trx);
  try {
    const value = await work(tx);
    await sql`release savepoint one`.execute(tx.trx);
    return { tell: () => resolve(value), waits: !repeatable };
  } catch (error) {
    try {
      await sql`rollback to savepoint one`.execute(tx.trx);
      await sql`release savepoint one`.execute(tx.trx);
    } catch {
      // It has ended the whole transaction, as a full disk does.
      throw error;
    }
    return { tell: () => reject(error), waits: false };
  }
}

const groups = new WeakMap<Connected, GroupCommit>();

function groupOf(connected: Connected): GroupCommit {
  let group = groups.get(connected);
  if (group === undefined) {
    group = new GroupCommit(connected);
    groups.set(connected, group);
  }
  return group;
}

export interface How {
  /** It changes nothing, and waits for no writer of SQLite. */
  reads?: boolean;
  /** It may be lost in a power cut (not when a process is killed), since it would be done again. */
  repeatable?: boolean;
}

function once<T>(
  connected: Connected,
  work: Work<T>,
  { reads = false, repeatable = false }: How,
): Promise<T> {
  const { db, reader, mysql } = connected;
  if (reads || mysql) {
    const begun = (reads ? reader : db).transaction();
    return (mysql ? begun.setIsolationLevel("read committed") : begun).execute((trx) =>
      work({
        ...{ trx, nowMs: Date.now(), notes: new Notes() },
        lock: (query) => (mysql && !reads ? query.forUpdate() : query),
      }),
    );
  }
  return groupOf(connected).run(work, repeatable);
}

/**
 * Runs `work` in one transaction; again when it collided with another one. Throws RpcError UNAVAILABLE while the database is away.
 */
export async function inTransaction<T>(connected: Connected, work: Work<T>, how: How = {}): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(connected, work, how);
    } catch (error) {
      if (isAway(error)) throw new RpcError(Status.UNAVAILABLE, "the database is away", { cause: error });
      if (!passing.some((known) => codeOf(error).startsWith(known)) || attempt >= attemptsMax) throw error;
      await delay(Math.random() * Math.min(5 * 2 ** attempt, 200));
    }
  }
}
