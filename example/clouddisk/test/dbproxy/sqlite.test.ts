import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CompiledQuery } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Connected, connect } from "../../src/dbproxy/connect.js";
import { inTransaction, type Tx } from "../../src/dbproxy/transaction.js";
import { deferred } from "../common/deferred.js";

let folder: string;
let connected: Connected;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-sqlite-"));
  connected = await connect(`sqlite:${folder}/disk.db`);
});
afterEach(async () => {
  await connected.close();
  await rm(folder, { recursive: true });
});

const put = (name: string) => async (tx: Tx) => {
  await tx.trx.insertInto("tbl_secret").values({ name, value: "x" }).execute();
  return name;
};

const names = async (): Promise<string[]> => {
  const rows = await connected.reader.selectFrom("tbl_secret").select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
};

/** Counts the commits of the log: each is a frame that says how large the database is after it. */
async function walCommits(): Promise<number> {
  const wal = await readFile(`${folder}/disk.db-wal`);
  const pageBytes = wal.readUInt32BE(8);
  let count = 0;
  for (let at = 32; at + 24 + pageBytes <= wal.length; at += 24 + pageBytes) {
    if (wal.readUInt32BE(at + 4) !== 0) count++;
  }
  return count;
}

it("makes what comes together durable by one commit, and nobody is told before", async () => {
  const commits = await walCommits();
  const told: string[] = [];
  const first = deferred();
  const slow = inTransaction(connected, async (tx) => {
    await put("0")(tx);
    await first.promise;
  });
  const others = Array.from({ length: 30 }, async (_, index) => {
    told.push(await inTransaction(connected, put(`n${index}`)));
  });
  expect(await names()).toEqual([]);
  first.resolve();
  await slow;
  await Promise.all(others);
  expect(told).toHaveLength(30);
  expect(await names()).toHaveLength(31);
  expect((await walCommits()) - commits).toBeLessThanOrEqual(3);
});

it("undoes one that fails, and none of those beside it", async () => {
  const gate = deferred();
  const slow = inTransaction(connected, () => gate.promise);
  const fails = async (tx: Tx) => {
    await put("undone")(tx);
    throw new Error("it fails");
  };
  const results = Promise.allSettled([
    inTransaction(connected, put("a")),
    inTransaction(connected, fails),
    inTransaction(connected, put("b")),
  ]);
  gate.resolve();
  await slow;
  expect((await results).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await names()).toEqual(["a", "b"]);
});

it("reads while a transaction that writes is under way, and sees what was committed", async () => {
  await inTransaction(connected, put("before"));
  const gate = deferred();
  const writing = inTransaction(connected, async (tx) => {
    await put("during")(tx);
    await gate.promise;
  });
  const seen = await inTransaction(
    connected,
    ({ trx }) => trx.selectFrom("tbl_secret").select("name").execute(),
    { reads: true },
  );
  expect(seen).toEqual([{ name: "before" }]);
  gate.resolve();
  await writing;
  expect(await names()).toEqual(["before", "during"]);
});

it("leaves turns of the event loop to others during a long transaction", async () => {
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const busy = CompiledQuery.raw(
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) select max(i) from n",
  );
  await inTransaction(connected, async ({ trx }) => {
    for (let query = 0; query < 20; query++) await trx.executeQuery(busy);
  });
  over = true;
  expect(turns).toBeGreaterThan(3);
});

it("waits for the disk when somebody is told, and not for what would be done again", async () => {
  const mode = async () => {
    const { rows } = await connected.db.executeQuery(CompiledQuery.raw("pragma synchronous"));
    return (rows[0] as { synchronous: number }).synchronous;
  };
  await inTransaction(connected, put("again"), { repeatable: true });
  expect(await mode()).toBe(1);
  // Together they are as durable as the one that must be.
  await Promise.all([
    inTransaction(connected, put("also"), { repeatable: true }),
    inTransaction(connected, put("told")),
  ]);
  expect(await mode()).toBe(2);
  expect(await names()).toEqual(["again", "also", "told"]);
});
