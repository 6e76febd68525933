import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CompiledQuery } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Connected, connect } from "../../src/dbproxy/connect.js";
import { LogSync } from "../../src/dbproxy/log-sync.js";
import { openSqlite } from "../../src/dbproxy/sqlite.js";
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
  // One for the first and one for the others; where the machine is busy the others come in a few groups.
  expect((await walCommits()) - commits).toBeLessThanOrEqual(15);
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

it("tells nobody before the disk has it, but for what would be done again, and goes on meanwhile", async () => {
  const disk = deferred();
  let syncs = 0;
  const slow: Connected = {
    ...connected,
    sync: async () => {
      syncs++;
      await disk.promise;
    },
  };
  const told: string[] = [];
  const tell = (name: string): void => void told.push(name);
  const first = inTransaction(slow, put("first")).then(tell);
  await inTransaction(slow, put("again"), { repeatable: true }).then(tell);
  const second = inTransaction(slow, put("second")).then(tell);
  await expect.poll(names).toEqual(["again", "first", "second"]);
  expect(told).toEqual(["again"]);
  disk.resolve();
  await Promise.all([first, second]);
  expect(told.toSorted()).toEqual(["again", "first", "second"]);
  expect(syncs).toBeGreaterThan(0);
});

it("says so when the disk did not take what was committed", async () => {
  const broken: Connected = { ...connected, sync: () => Promise.reject(new Error("EIO")) };
  await expect(inTransaction(broken, put("lost"))).rejects.toThrow("EIO");
  await inTransaction(connected, put("kept"));
});

it("one wait for the disk serves all that was committed before it began; after a failure the log is copied", async () => {
  const file = `${folder}/log`;
  let copies = 0;
  let copyFails = true;
  const log = new LogSync(file, () => {
    copies++;
    if (copyFails) throw new Error("not now");
  });
  // The file is not there: the disk took nothing.
  const [one, two] = [log.sync(), log.sync()];
  expect(one).toBe(two);
  await expect(one).rejects.toThrow("ENOENT");
  await expect(log.sync()).rejects.toThrow("not now");
  copyFails = false;
  await log.sync();
  expect(copies).toBe(2);
  await writeFile(file, "a log");
  const running = log.sync();
  await running;
  expect(log.sync()).not.toBe(running);
  expect(copies).toBe(2);
  await log.close();
});

it("copies all of the log into the database file when it must", async () => {
  const { log, writer, reader } = await openSqlite(`${folder}/disk.db`);
  for (const dialect of [writer, reader]) await dialect.createDriver().destroy();
  if (log === undefined) throw new Error("SQLite keeps no log here");
  await inTransaction(connected, put("copied"));
  const text = async () => (await readFile(`${folder}/disk.db`)).includes("copied");
  expect(await text()).toBe(false);
  await rename(`${folder}/disk.db-wal`, `${folder}/hidden`);
  await expect(log.sync()).rejects.toThrow("ENOENT");
  await rename(`${folder}/hidden`, `${folder}/disk.db-wal`);
  await log.sync();
  expect(await text()).toBe(true);
  await log.close();
});
