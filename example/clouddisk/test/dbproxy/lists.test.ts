import { type CompiledQuery, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ParamsOf } from "../../src/dbproxy/actions.js";
import { sortKey } from "../../src/dbproxy/name-keys.js";
import { databases } from "./databases.js";
import { Actions, sha256 } from "./harness.js";

const all = { parentId: 0, trashed: false, query: "", descending: false, cursor: "" };

describe.each(databases)("lists on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  /** How the database goes about a query, a line for each table. */
  async function plan(query: CompiledQuery): Promise<string[]> {
    const explain = database.name === "SQLite" ? "explain query plan" : "explain";
    const { rows } = await actions.connected.db.executeQuery({
      ...query,
      sql: `${explain} ${query.sql}`,
    });
    return (rows as Array<Record<string, unknown>>).map((row) =>
      "detail" in row
        ? String(row.detail)
        : `${String(row.table)}: ${String(row.type)} ${String(row.key)} ${String(row.Extra)}`,
    );
  }

  it("walk a tree folder by folder, and do not look through all rows of the user at each", async () => {
    const userId = await actions.user();
    const id = await actions.folder(userId, "outer");
    const inner = await actions.folder(userId, "inner", id);
    await actions.insertFiles(userId, 200, { parentId: inner });
    actions.queries.length = 0;
    await actions.run("entry.get", { userId, id: inner });
    await actions.run("entry.move", { userId, id, parentId: 0 });
    await actions.run("entry.trash", { userId, id });
    await actions.run("entry.restore", { userId, id });
    const queries = actions.queries.filter(({ sql: text }) => text.includes("recursive"));
    const followed = actions.queries.filter(({ sql: text }) => /as .c. where/.test(text));
    expect(queries.length).toBeGreaterThanOrEqual(3);
    if (database.name === "MariaDB") await sql`analyze table tbl_user_file`.execute(actions.connected.db);
    const steps = (await Promise.all(queries.map(plan)))
      .flat()
      .filter((line) => /^SEARCH f |^f: /.test(line));
    expect(steps).toHaveLength(queries.length);
    const beneath = (await Promise.all(followed.map(plan))).flat();
    const inside = beneath.filter((line) => /^SEARCH c |^c: /.test(line));
    expect(inside.length).toBeGreaterThanOrEqual(3);
    for (const step of inside) expect(step).toMatch(/user_id=\? AND place=\?|user_id_place/);
    for (const step of steps) expect(step).toMatch(/parent_id=\?|PRIMARY KEY|uniq_user_file_name|PRIMARY/);
  });

  describe("with the files of two users", () => {
    let userId = 0;
    beforeAll(async () => {
      const others = await actions.user();
      await actions.insertFiles(others, 8000);
      userId = await actions.user();
      await actions.insertFiles(userId, 1000);
      const old = await actions.folder(userId, "old");
      await actions.insertFiles(userId, 300, { parentId: old });
      await actions.run("entry.trash", { userId, id: old });
      if (database.name === "MariaDB") await sql`analyze table tbl_user_file`.execute(actions.connected.db);
    });

    const list = (more: object): ["entry.list", ParamsOf<"entry.list">] => [
      "entry.list",
      { userId, sort: "name", limit: 100, ...all, ...more },
    ];

    it.each<[string, () => [string, object]]>([
      ["a folder by name", () => list({})],
      ["a folder by name, downward", () => list({ descending: true })],
      ["a folder by size", () => list({ sort: "size" })],
      ["a folder by time, downward", () => list({ sort: "updated", descending: true })],
      ["the trash", () => list({ trashed: true })],
      ["the newest files", () => ["entry.recent", { userId, limit: 10 }]],
      ["a content", () => ["entry.byHash", { userId, fileHash: sha256(""), name: "file 7" }]],
      ["a search", () => list({ query: "ile" })],
      ["a search by time", () => list({ query: "ile", sort: "updated" })],
      ["what is over its time in the trash", () => ["trash.purge", { trashedBeforeMs: 1, limit: 10 }]],
      ["open uploads", () => ["upload.open", { userId, limit: 10 }]],
    ])("come in the order of an index, without a look at all rows: %s", async (what, asked) => {
      const [name, params] = asked();
      actions.queries.length = 0;
      await actions.run(name as "entry.list", params as ParamsOf<"entry.list">);
      const queries = actions.queries.filter(({ sql: text }) => /^(select|with)/.test(text));
      expect(queries.length).toBeGreaterThan(0);
      const plans = (await Promise.all(queries.map(plan))).flat();
      expect(plans.filter((line) => /^SCAN (?!way|tree)|^e: ALL|tbl_user_file: ALL/.test(line))).toEqual([]);
      // A handful of open uploads may be sorted; and MariaDB rather sorts what a search found than read all in order.
      if (what.includes("uploads") || (what.includes("search") && database.name === "MariaDB")) return;
      expect(plans.filter((line) => /TEMP B-TREE|filesort|temporary/.test(line))).toEqual([]);
    });

    it.each(["name", "size", "updated"] as const)(
      "a search looks at so many names at a time, and finds all in the end, by %s",
      async (sort) => {
        const searching = await actions.user();
        await actions.insertFiles(searching, 500);
        const inside = await actions.folder(searching, "99 problems");
        await actions.insertFiles(searching, 30, { parentId: inside, prefix: "more 99 " });
        for (const descending of [false, true]) {
          const more = { query: "99", sort, descending, limit: 7, rowsMax: 50 };
          const seen: string[] = [];
          const totals: number[] = [];
          let pages = 0;
          let empty = 0;
          for (let cursor = ""; pages === 0 || cursor !== ""; pages++) {
            const page = await actions.list(searching, { ...more, cursor });
            seen.push(...page.entries.map(({ name }) => name));
            totals.push(page.total);
            if (page.entries.length === 0) empty++;
            cursor = page.nextCursor;
          }
          const all = await actions.list(searching, { query: "99", sort, descending });
          expect(seen).toEqual(all.entries.map(({ name }) => name));
          expect(totals).toEqual(totals.toSorted((one, other) => one - other));
          expect(totals.at(-1)).toBe(all.total);
          expect(all.total).toBe(36);
          // It had to go on without a hit.
          expect(empty).toBeGreaterThan(0);
        }
        expect((await actions.list(searching, { query: "nowhere", rowsMax: 50 })).nextCursor).not.toBe("");
      },
    );

    it("find the name among a thousand of one content", async () => {
      const last = await actions.file(userId, "the last", "");
      const fileHash = sha256("");
      expect(await actions.run("entry.byHash", { userId, fileHash, name: "the last" })).toMatchObject({
        entry: { id: last.id },
      });
      expect(await actions.run("entry.byHash", { userId, fileHash, id: last.id })).toMatchObject({
        entry: { name: "the last" },
      });
      expect((await actions.run("entry.byHash", { userId, fileHash })).entry?.name).toBe("file 0");
    });

    it.each(["name", "size", "updated"] as const)("page through everything once, by %s", async (sort) => {
      for (const descending of [false, true]) {
        const seen: number[] = [];
        let cursor = "";
        do {
          const page = await actions.list(userId, { sort, descending, limit: 97, cursor });
          seen.push(...page.entries.map(({ id }) => id));
          cursor = page.nextCursor;
        } while (cursor !== "");
        const { total } = await actions.list(userId, { limit: 1 });
        expect(seen).toHaveLength(total);
        expect(new Set(seen).size).toBe(total);
      }
    });
  });

  it("are sorted as people count and spell", async () => {
    const userId = await actions.user();
    const inOrder = [
      "1.txt",
      "2 b",
      "02 c",
      "10",
      "99999999999",
      "100000000000",
      "file 1",
      "File 2",
      "file 10",
      "file 10 b",
      "file 100",
      "zebra",
      "\u4e2d\u6587",
    ];
    const accented = ["cafe", "caf\u00e9 au lait", "cage"];
    for (const name of [...inOrder, ...accented].sort()) await actions.folder(userId, name);
    const names = await actions.names(userId);
    expect(names.filter((name) => inOrder.includes(name))).toEqual(inOrder);
    expect(names.filter((name) => accented.includes(name))).toEqual(accented);
    expect(await actions.names(userId, { descending: true })).toEqual(names.reverse());
  });

  it.each([
    ["\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"],
    ["\u03bf\u03b4\u03bf\u03c3", "\u039f\u0394\u039f\u03a3"],
    ["STRASSE", "stra\u00dfe"],
    ["stra\u00dfe", "STRASSE"],
    ["\u041c\u041e\u0421\u041a\u0412\u0410", "\u043c\u043e\u0441\u043a\u0432\u0430"],
    ["\u00c4RZTE", "a\u0308rzte"],
    ["\u0130STANBUL", "istanbul"],
    ["\u0531\u0532\u0533", "\u0561\u0562\u0563"],
    ["\u1c90\u1c91", "\u10d0\u10d1"],
    ["\u13a0\u13a1", "\uab70\uab71"],
    ["\u{10400}", "\u{10428}"],
    ["\u212a", "k"],
    ["\ufb03", "FFI"],
    ["\uff21", "\uff41"],
    ["\u1f80", "\u1f88"],
  ])("find %s by %s", async (name, query) => {
    const userId = await actions.user();
    await actions.folder(userId, `x${name}y`);
    await actions.folder(userId, "another");
    expect(await actions.names(userId, { query })).toEqual([`x${name}y`]);
    expect(await actions.names(userId, { query: name })).toEqual([`x${name}y`]);
  });

  it("find only what has the letters: % and _ are letters too", async () => {
    const userId = await actions.user();
    for (const name of ["100%", "1000", "a_b", "axb", "wow!"]) await actions.folder(userId, name);
    expect(await actions.names(userId, { query: "0%" })).toEqual(["100%"]);
    expect(await actions.names(userId, { query: "_" })).toEqual(["a_b"]);
    expect(await actions.names(userId, { query: "!" })).toEqual(["wow!"]);
  });
});

it("keys of the longest names fit their columns", () => {
  for (const name of [
    "1a".repeat(127),
    "9".repeat(255),
    "\u0390".repeat(127),
    "1\u0390".repeat(85),
    "\ufb03".repeat(85),
  ]) {
    expect(sortKey(name).length).toBeLessThanOrEqual(512);
  }
});
