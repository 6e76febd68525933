import path from "node:path";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type LogEvent,
  Migrator,
  MysqlDialect,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
} from "kysely";
import { makeFolder } from "../common/folder.js";
import { migrations } from "./migrations.js";
import type { Tables } from "./tables.js";

/** Is told of every query. */
type Log = (event: LogEvent) => void;

export interface Connected {
  readonly db: Kysely<Tables>;
  readonly mysql: boolean;
}

/**
 * A transaction takes the write lock when it begins: two processes on one file then wait for each other, instead of one
 * failing when it wants to write what it has read.
 */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }
}

class ImmediateDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
  }

  override createDriver(): Driver {
    return new ImmediateDriver({ database: this.#database });
  }
}

async function openSqlite(file: string, log: Log | undefined): Promise<Kysely<Tables>> {
  const { default: Sqlite } = await import("libsql");
  makeFolder(path.dirname(file));
  const database = new Sqlite(file);
  database.exec("pragma journal_mode=wal");
  // What a client was told survives a power cut as well; NORMAL would lose the last commits then.
  database.exec("pragma synchronous=full");
  database.exec("pragma busy_timeout=5000");
  const dialect = new ImmediateDialect(database as unknown as SqliteDatabase);
  return new Kysely<Tables>({ dialect, ...(log === undefined ? {} : { log }) });
}

async function openMysql(url: string, log: Log | undefined): Promise<Kysely<Tables>> {
  const { createPool } = await import("mysql2");
  const pool = createPool({
    uri: url,
    connectionLimit: 16,
    charset: "utf8mb4_bin",
    connectTimeout: 3000,
    waitForConnections: true,
    // Whoever waits for longer is told that the database is busy.
    queueLimit: 10_000,
    supportBigNumbers: true,
    enableKeepAlive: true,
  });
  pool.on("connection", (connection) => {
    // Of MariaDB and of MySQL: trees that were made before their depth had a limit may be deeper than the 1,000 these allow.
    // Each knows one of the two.
    for (const name of ["max_recursive_iterations", "cte_max_recursion_depth"]) {
      connection.query(`set session ${name} = 100000`, () => {});
    }
  });
  return new Kysely<Tables>({ dialect: new MysqlDialect({ pool }), ...(log === undefined ? {} : { log }) });
}

/** Opens `sqlite:FILE` or `mysql://...` and brings its tables up to date. Rejects when it cannot be reached or used. */
export async function connect(url: string, log?: Log): Promise<Connected> {
  const mysql = /^(mysql|mariadb):\/\//.test(url);
  if (!mysql && !url.startsWith("sqlite:")) {
    throw new Error("[database] url: expected sqlite:FILE or mysql://user:password@host:port/name");
  }
  const db = mysql
    ? await openMysql(url.replace(/^mariadb:/, "mysql:"), log)
    : await openSqlite(url.slice("sqlite:".length), log);
  try {
    const { error } = await new Migrator({ db, provider: migrations(mysql) }).migrateToLatest();
    if (error !== undefined) throw error;
  } catch (error) {
    await db.destroy();
    throw new Error(`[database] url: the database cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return { db, mysql };
}
