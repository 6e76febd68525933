import type { Logger } from "mprpc";
import type { Database } from "../dbproxy/client.js";

/** Rows of one transaction: so many that it is quick for many, so few that others do not wait long. */
const rowsMax = 500;
/** How long a request waits for what it deletes; what takes longer goes on without it. */
const patienceMs = 3_000;

/** How far it is: rows gone since it began, and those still to go. */
export interface Purging {
  deleted: number;
  left: number;
}

interface Run {
  deleted: number;
  /** Nothing; rejects with what went wrong. */
  done: Promise<void>;
  /** What the user put into the trash until then goes as well; 0: only what was discarded already. */
  trashedUntilMs: number;
  /** Counts the requests: one that came during the last look makes it look again. */
  requests: number;
}

/**
 * Deletes for good, and has what is in a big folder follow it into the trash, in many small transactions. What a request has not seen the end of is finished in the background, and after
 * the end of this process by transfer's cleaner.
 */
export class Purger {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #running = new Map<number, Run>();
  #stopped = false;

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  /** Of what was discarded, after what follows into the trash. Rejects with RpcError while the database is away. */
  purge(userId: number): Promise<Purging> {
    return this.#wait(userId, 0);
  }

  /** Of all that is in the user's trash by now. */
  emptyTrash(userId: number): Promise<Purging> {
    return this.#wait(userId, Date.now());
  }

  /** Resolves when no transaction is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(Array.from(this.#running.values(), ({ done }) => done));
  }

  async #wait(userId: number, trashedUntilMs: number): Promise<Purging> {
    let run = this.#running.get(userId);
    const before = run?.deleted ?? 0;
    run ??= this.#start(userId);
    run.requests++;
    run.trashedUntilMs = Math.max(run.trashedUntilMs, trashedUntilMs);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, patienceMs, "late");
    });
    try {
      const late = (await Promise.race([run.done, patience])) === "late";
      const left = late ? await this.#left(userId, run.trashedUntilMs) : 0;
      return { deleted: run.deleted - before, left };
    } finally {
      clearTimeout(timer);
    }
  }

  #start(userId: number): Run {
    const run: Run = { deleted: 0, done: Promise.resolve(), trashedUntilMs: 0, requests: 0 };
    this.#running.set(userId, run);
    run.done = this.#work(userId, run);
    run.done.catch((error: unknown) => {
      this.#log.warn("what was deleted for good is left to the cleaner", { userId, error });
    });
    return run;
  }

  async #work(userId: number, run: Run): Promise<void> {
    try {
      for (let seen = -1; seen !== run.requests && !this.#stopped; ) {
        seen = run.requests;
        while (!this.#stopped && (await this.#step(userId, run)));
      }
    } finally {
      this.#running.delete(userId);
    }
  }

  /** Whether there is more to do. */
  async #step(userId: number, run: Run): Promise<boolean> {
    const { deleted, more } = await this.#database.run("entry.purge", { userId, limit: rowsMax });
    run.deleted += deleted;
    const { trashedUntilMs } = run;
    if (more || trashedUntilMs === 0) return more;
    const found = await this.#database.run("entry.discardTrash", { userId, trashedUntilMs, limit: rowsMax });
    return found.discarded > 0;
  }

  async #left(userId: number, trashedUntilMs: number): Promise<number> {
    const { rows } = await this.#database.run("entry.purgeable", { userId, trashedUntilMs });
    return rows;
  }
}
