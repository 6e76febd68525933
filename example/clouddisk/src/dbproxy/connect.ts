import { Kysely, type LogEvent, Migrator, MysqlDialect } from "kysely";
import { migrations } from "./migrations.js";
import { openSqlite } from "./sqlite.js";
import type { Tables } from "./tables.js";

/** Is told of every query. */
type Log = (event: LogEvent) => void;

export interface Connected {
  readonly db: Kysely<Tables>;
  /** For transactions that only read; they see what is committed. */
  readonly reader: Kysely<Tables>;
  readonly mysql: boolean;
  /** Resolves once what is committed by now survives a power cut; a commit of MariaDB does so by itself. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

async function mysqlDialect(url: string): Promise<MysqlDialect> {
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
  return new MysqlDialect({ pool });
}

async function open(url: string, log: Log | undefined): Promise<Connected> {
  const more = log === undefined ? {} : { log };
  if (/^(mysql|mariadb):\/\//.test(url)) {
    const db = new Kysely<Tables>({
      dialect: await mysqlDialect(url.replace(/^mariadb:/, "mysql:")),
      ...more,
    });
    return { db, reader: db, mysql: true, sync: async () => {}, close: () => db.destroy() };
  }
  const { writer, reader, log: written } = await openSqlite(url.slice("sqlite:".length));
  const db = new Kysely<Tables>({ dialect: writer, ...more });
  const reading = new Kysely<Tables>({ dialect: reader, ...more });
  const close = async (): Promise<void> => {
    await reading.destroy();
    await db.destroy();
    await written?.close();
  };
  return { db, reader: reading, mysql: false, sync: async () => written?.sync(), close };
}

/** Opens `sqlite:FILE` or `mysql://...` and brings its tables up to date. Rejects when it cannot be reached or used. */
export async function connect(url: string, log?: Log): Promise<Connected> {
  if (!/^(mysql|mariadb):\/\/|^sqlite:/.test(url)) {
    throw new Error("[database] url: expected sqlite:FILE or mysql://user:password@host:port/name");
  }
  const connected = await open(url, log);
  try {
    const { db, mysql } = connected;
    const { error } = await new Migrator({ db, provider: migrations(mysql) }).migrateToLatest();
    if (error !== undefined) throw error;
  } catch (error) {
    await connected.close();
    throw new Error(`[database] url: the database cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return connected;
}
