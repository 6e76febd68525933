import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createConnection } from "mysql2/promise";
import type { Child } from "../../../../test/tools/child.js";
import { canary } from "../../../../test/tools/leaks/secrets.js";
import { freePort } from "../../../../test/tools/zookeeper.js";
import { findProgram, type Program, runProgram, startProgram } from "./programs.js";

const password = canary();

/** A real MariaDB on a free port, its data in a temp folder. */
export class MariadbServer {
  readonly port: number;
  readonly #program: Program;
  readonly #folder: string;
  #process: Child | undefined;
  #databases = 0;

  private constructor(program: Program, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.port = port;
  }

  static async start(): Promise<MariadbServer> {
    const program = findProgram("mariadbd");
    const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-mariadb-"));
    const server = new MariadbServer(program, folder, await freePort());
    await mkdir(path.join(folder, "data/mysql"), { recursive: true });
    // What mariadb-install-db does, which needs a package more.
    const tables = [
      "mysql_system_tables.sql",
      "mysql_performance_tables.sql",
      "mysql_system_tables_data.sql",
    ];
    const sql = tables
      .map((file) => readFileSync(path.join(program.root, "usr/share/mysql", file), "utf8"))
      .join("\n");
    const user = `flush privileges;\ncreate user disk@'127.0.0.1' identified by '${password}';\ngrant all on *.* to disk@'127.0.0.1';\n`;
    runProgram(program, [...server.#args(), "--bootstrap"], `use mysql;\n${sql}\n${user}`);
    await server.restart();
    return server;
  }

  #args(): string[] {
    const root = process.getuid?.() === 0 ? ["--user=root"] : [];
    const data = `--datadir=${path.join(this.#folder, "data")}`;
    const base = `--basedir=${path.join(this.#program.root, "usr")}`;
    // Its own temp folder too: others remove tables of the same name from a shared one.
    const temp = `--tmpdir=${this.#folder}`;
    return ["--no-defaults", ...root, base, data, temp, "--innodb-buffer-pool-size=32M", "--skip-log-bin"];
  }

  /** Starts it again, on the same data and port. */
  async restart(): Promise<void> {
    this.#process = startProgram(this.#program, [
      ...this.#args(),
      `--port=${this.port}`,
      "--bind-address=127.0.0.1",
      "--skip-name-resolve",
      `--socket=${path.join(this.#folder, "socket")}`,
      `--pid-file=${path.join(this.#folder, "pid")}`,
    ]);
    await this.#process.line(/ready for connections/);
  }

  /** A new, empty database; gives its URL for `[database] url`. */
  async createDatabase(): Promise<string> {
    const name = `disk${++this.#databases}`;
    const connection = await createConnection({ host: "127.0.0.1", port: this.port, user: "disk", password });
    await connection.query(`create database ${name}`);
    await connection.end();
    return `mysql://disk:${password}@127.0.0.1:${this.port}/${name}`;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal);
  }

  /** Ends it, and its data. */
  async close(): Promise<void> {
    await this.end("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}
