import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
  type SqliteDatabase,
  SqliteDialect,
} from "kysely";
import { makeFolder } from "../common/folder.js";
import { LogSync } from "./log-sync.js";

/** After so long of SQLite the event loop gets a turn: a transaction of many statements holds up nobody but writers. */
const sliceMs = 8;
const preparedMax = 500;

type Statement = ReturnType<SqliteDatabase["prepare"]>;

class Connection implements DatabaseConnection {
  readonly #database: SqliteDatabase;
  readonly #prepared = new Map<string, Statement>();
  #sliceMs = 0;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#sliceMs > sliceMs) {
      await nextTurn();
      this.#sliceMs = 0;
    }
    const startMs = performance.now();
    try {
      return this.#execute(sql, parameters);
    } finally {
      this.#sliceMs += performance.now() - startMs;
    }
  }

  #execute<R>(sql: string, parameters: readonly unknown[]): QueryResult<R> {
    const statement = this.#prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters) as R[] };
    const { changes, lastInsertRowid } = statement.run(parameters);
    return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
  }

  #prepare(sql: string): Statement {
    let statement = this.#prepared.get(sql);
    if (statement !== undefined) return statement;
    statement = this.#database.prepare(sql);
    const [oldest] = this.#prepared.keys();
    if (oldest !== undefined && this.#prepared.size >= preparedMax) this.#prepared.delete(oldest);
    // Tables that change make what was prepared for them useless; transactions are begun again and again.
    if (/^\s*(select|insert|update|delete|with|begin|commit|rollback|savepoint|release)/i.test(sql)) {
      this.#prepared.set(sql, statement);
    }
    return statement;
  }

  // biome-ignore lint/correctness/useYield: the interface asks for a generator.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("nothing is streamed out of SQLite");
  }
}

/**
 * One connection, whose users take turns in their order. A transaction takes the write lock when it begins: two processes on one
 * file then wait for each other, instead of one failing when it wants to write what it has read.
 */
class OneConnection implements Driver {
  readonly #database: SqliteDatabase;
  readonly #connection: Connection;
  readonly #begin: string;
  readonly #waiting: Array<() => void> = [];
  #busy = false;

  constructor(database: SqliteDatabase, begin: string) {
    this.#database = database;
    this.#connection = new Connection(database);
    this.#begin = begin;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#begin));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk, say, has ended it already; what failed then is what is to be told.
    await connection.executeQuery(CompiledQuery.raw("rollback")).catch(() => {});
  }

  async destroy(): Promise<void> {
    this.#database.close();
  }
}

class OneConnectionDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;
  readonly #begin: string;

  constructor(database: SqliteDatabase, begin: string) {
    super({ database });
    this.#database = database;
    this.#begin = begin;
  }

  override createDriver(): Driver {
    return new OneConnection(this.#database, this.#begin);
  }
}

export interface Sqlite {
  readonly writer: SqliteDialect;
  readonly reader: SqliteDialect;
  /** Undefined: a commit is durable by itself. */
  readonly log: LogSync | undefined;
}

/** A connection that writes, and one that reads what was committed, whatever the other is at. */
export async function openSqlite(file: string): Promise<Sqlite> {
  const { default: Raw } = await import("libsql");
  makeFolder(path.dirname(file));
  let logged = true;
  const open = (): SqliteDatabase => {
    const database = new Raw(file);
    database.exec("pragma busy_timeout=5000");
    const mode = database.prepare("pragma journal_mode=wal").get([]) as { journal_mode?: string } | undefined;
    logged &&= mode?.journal_mode === "wal";
    // What a client was told survives a power cut. With a log that is LogSync's to see to: NORMAL writes the log without waiting
    // for the disk, and waits before any of it goes into the database file. Without one every commit waits.
    database.exec(`pragma synchronous=${logged ? "normal" : "full"}`);
    return database as unknown as SqliteDatabase;
  };
  const copyLog = (): void => {
    const database = open();
    try {
      const [row] = database.prepare("pragma wal_checkpoint(passive)").all([]);
      const { log, checkpointed } = row as { log: number; checkpointed: number };
      if (log !== checkpointed) throw new Error(`${file}: the log cannot be brought into the database now`);
    } finally {
      database.close();
    }
  };
  const writer = new OneConnectionDialect(open(), "begin immediate");
  const reader = new OneConnectionDialect(open(), "begin");
  return { writer, reader, log: logged ? new LogSync(`${file}-wal`, copyLog) : undefined };
}
