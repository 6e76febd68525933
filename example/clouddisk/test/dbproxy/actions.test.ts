import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { silentLogger } from "mprpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ActionName, ParamsOf, ResultOf } from "../../src/dbproxy/actions.js";
import { type Connected, connect } from "../../src/dbproxy/connect.js";
import { Executor } from "../../src/dbproxy/service.js";
import { databases } from "./databases.js";

/** Of one digit, or of two. */
const hashOf = (digits: string): string => digits.repeat(64 / digits.length);
const newId = (): string => randomBytes(16).toString("hex");

describe.each(databases)("the actions on $name", ({ open }) => {
  let connected: Connected;
  let executor: Executor;
  let close: () => Promise<void>;
  let users = 0;

  beforeAll(async () => {
    const opened = await open();
    connected = await connect(opened.url);
    close = async () => {
      await connected.close();
      await opened.close();
    };
    executor = new Executor(connected, silentLogger);
  });
  afterAll(() => close());

  async function run<N extends ActionName>(name: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    const reply = await executor.execute({
      sequence: true,
      transaction: false,
      actions: [{ name, params: JSON.stringify(params) }],
    });
    expect(reply.message).toBe("");
    return JSON.parse(reply.results?.[0]?.data ?? "") as ResultOf<N>;
  }

  async function newUser(quotaBytes = 1_000_000): Promise<number> {
    const username = `user${++users}`;
    const { created, id } = await run("user.create", { username, passwordHash: "x", quotaBytes });
    expect(created).toBe(true);
    return id;
  }

  function whole(userId: number, name: string, fileHash: string, sizeBytes = 10, parentId = 0) {
    return run("upload.whole", {
      userId,
      parentId,
      name,
      fileHash,
      sizeBytes,
      node: "n1",
      onConflict: "rename",
    });
  }

  function list(userId: number, more: Partial<ParamsOf<"entry.list">> = {}) {
    return run("entry.list", {
      userId,
      parentId: 0,
      trashed: false,
      query: "",
      sort: "name",
      descending: false,
      limit: 100,
      cursor: "",
      ...more,
    });
  }

  async function names(userId: number, more: Partial<ParamsOf<"entry.list">> = {}): Promise<string[]> {
    const listed = await list(userId, more);
    if (listed.outcome !== "ok") throw new Error(listed.outcome);
    return listed.entries.map((entry) => entry.name);
  }

  async function okEntry(work: Promise<ResultOf<"entry.rename">>) {
    const result = await work;
    if (result.outcome !== "ok") throw new Error(result.outcome);
    return result.entry;
  }

  async function opened(userId: number, fileHash: string, sizeBytes = 10): Promise<string> {
    const id = newId();
    const created = await run("upload.create", {
      id,
      userId,
      fileHash,
      sizeBytes,
      name: "big.bin",
      parentId: 0,
      partBytes: 4,
      partCount: 3,
      node: "n1",
    });
    expect(created.outcome).toBe("ok");
    return id;
  }

  const usedBytes = async (userId: number) => (await run("user.get", { userId })).user?.usedBytes;
  const content = async (fileHash: string) => (await run("content.get", { fileHash })).content;

  it("creates a user once, whatever the name looks like", async () => {
    const username = "'; drop table tbl_user; --";
    const params = { username, passwordHash: "x", quotaBytes: 5 };
    const all = await Promise.all(Array.from({ length: 8 }, () => run("user.create", params)));
    expect(all.filter((one) => one.created)).toHaveLength(1);
    expect((await run("user.find", { username })).user).toMatchObject({ username, quotaBytes: 5 });
    // Without regard to case it is the same one, who cannot be made a second time.
    expect((await run("user.find", { username: username.toUpperCase() })).user).toMatchObject({ username });
    expect((await run("user.create", { ...params, username: username.toUpperCase() })).created).toBe(false);
  });

  it("finds a session until it expires or is deleted", async () => {
    const userId = await newUser();
    await run("session.create", { userId, tokenHash: hashOf("1"), expiresAtMs: Date.now() + 60_000 });
    await run("session.create", { userId, tokenHash: hashOf("2"), expiresAtMs: Date.now() - 1 });
    expect((await run("session.find", { tokenHash: hashOf("1") })).session).toMatchObject({ userId });
    expect((await run("session.find", { tokenHash: hashOf("2") })).session).toBeNull();
    expect(await run("session.deleteExpired", {})).toEqual({ deleted: 1 });
    expect(await run("session.delete", { tokenHash: hashOf("1") })).toEqual({ deleted: 1 });
    expect((await run("session.find", { tokenHash: hashOf("1") })).session).toBeNull();
  });

  it("gives everybody the same secret", async () => {
    const asked = Array.from({ length: 6 }, (_, proposed) =>
      run("secret.get", { name: "tickets", proposed: String(proposed) }),
    );
    const values = new Set((await Promise.all(asked)).map(({ value }) => value));
    expect(values.size).toBe(1);
  });

  it("numbers a name that is taken, before its extension", async () => {
    const userId = await newUser();
    for (const content of ["a1", "a2", "a3"]) await whole(userId, "a.tar", hashOf(content));
    expect(await names(userId)).toEqual(["a (1).tar", "a (2).tar", "a.tar"]);
    const other = await okEntry(run("entry.createFolder", { userId, parentId: 0, name: "b", reuse: false }));
    expect(await run("entry.rename", { userId, id: other.id, name: "a.tar" })).toEqual({
      outcome: "conflict",
    });
    const again = { userId, parentId: 0, name: "b" };
    expect(await run("entry.createFolder", { ...again, reuse: false })).toEqual({ outcome: "conflict" });
    expect((await okEntry(run("entry.createFolder", { ...again, reuse: true }))).id).toBe(other.id);
  });

  it("moves folders, but not into themselves", async () => {
    const userId = await newUser();
    const folder = (name: string, parentId: number) =>
      okEntry(run("entry.createFolder", { userId, parentId, name, reuse: false }));
    const outer = await folder("outer", 0);
    const inner = await folder("inner", outer.id);
    expect(await run("entry.move", { userId, id: outer.id, parentId: inner.id })).toEqual({
      outcome: "cycle",
    });
    expect(await run("entry.move", { userId, id: outer.id, parentId: outer.id })).toEqual({
      outcome: "cycle",
    });
    expect(await run("entry.move", { userId, id: inner.id, parentId: 12_345_678 })).toEqual({
      outcome: "no_parent",
    });
    await okEntry(run("entry.move", { userId, id: inner.id, parentId: 0 }));
    expect(await names(userId)).toEqual(["inner", "outer"]);
    const stranger = await newUser();
    expect(await run("entry.move", { userId: stranger, id: inner.id, parentId: 0 })).toEqual({
      outcome: "not_found",
    });
  });

  it("puts a folder into the trash with what is in it, and brings it back", async () => {
    const userId = await newUser();
    const folder = await okEntry(run("entry.createFolder", { userId, parentId: 0, name: "f", reuse: false }));
    await whole(userId, "in.txt", hashOf("b"), 7, folder.id);
    await okEntry(run("entry.trash", { userId, id: folder.id }));
    expect(await names(userId)).toEqual([]);
    expect(await names(userId, { query: "in" })).toEqual([]);
    expect(await run("entry.byHash", { userId, fileHash: hashOf("b") })).toEqual({ entry: null });
    expect(await names(userId, { trashed: true })).toEqual(["f"]);
    expect(await list(userId, { parentId: folder.id })).toEqual({ outcome: "not_found" });
    await okEntry(run("entry.createFolder", { userId, parentId: 0, name: "f", reuse: false }));
    expect((await okEntry(run("entry.restore", { userId, id: folder.id }))).name).toBe("f (1)");
    expect(await names(userId, { parentId: folder.id })).toEqual(["in.txt"]);
    expect(await usedBytes(userId)).toBe(7);
  });

  it("deletes for good: quota given back, the content gone with its last name", async () => {
    const [first, second] = [await newUser(), await newUser()];
    const hash = hashOf("c");
    const mine = await whole(first, "mine", hash, 100);
    await whole(second, "yours", hash, 100);
    if (mine.outcome !== "ok") throw new Error(mine.outcome);
    expect(await run("entry.discard", { userId: first, ids: [mine.entry.id] })).toEqual({ ids: [] });
    await okEntry(run("entry.trash", { userId: first, id: mine.entry.id }));
    expect(await usedBytes(first)).toBe(100);
    const { id } = mine.entry;
    expect(await run("entry.discard", { userId: first, ids: [id] })).toEqual({ ids: [id] });
    expect(await run("entry.restore", { userId: first, id })).toEqual({ outcome: "not_found" });
    expect(await run("entry.purge", { userId: first, limit: 10 })).toEqual({ deleted: 1, more: false });
    expect(await usedBytes(first)).toBe(0);
    expect(await content(hash)).toMatchObject({ refCount: 1, state: "local" });
    const { entry: yours } = await run("entry.byHash", { userId: second, fileHash: hash });
    await okEntry(run("entry.trash", { userId: second, id: yours?.id ?? 0 }));
    const all = { userId: second, trashedUntilMs: Number.MAX_SAFE_INTEGER, limit: 10 };
    expect(await run("entry.discardTrash", all)).toEqual({ discarded: 1 });
    expect(await run("entry.purge", { userId: second, limit: 10 })).toEqual({ deleted: 1, more: false });
    expect(await content(hash)).toMatchObject({ refCount: 0, state: "deleting" });
    const link = { userId: first, parentId: 0, name: "x", fileHash: hash, onConflict: "rename" } as const;
    expect(await run("entry.link", link)).toEqual({ outcome: "no_content" });
    expect(await usedBytes(first)).toBe(0);
    // Uploaded again before it is gone: it stays.
    expect(await whole(second, "again", hash, 100)).toMatchObject({ outcome: "ok", staged: true });
    expect(await content(hash)).toMatchObject({ refCount: 1, state: "local" });
  });

  it("has a file once, however often it is sent", async () => {
    const userId = await newUser();
    const sent = [1, 2, 3].map(() => whole(userId, "once.bin", hashOf("0c"), 30));
    const ids = (await Promise.all(sent)).map((reply) => (reply.outcome === "ok" ? reply.entry.id : reply));
    expect(new Set(ids).size).toBe(1);
    const link = {
      userId,
      parentId: 0,
      name: "once.bin",
      fileHash: hashOf("0c"),
      onConflict: "rename",
    } as const;
    expect(await run("entry.link", link)).toMatchObject({ outcome: "ok", entry: { id: ids[0] } });
    expect(await names(userId)).toEqual(["once.bin"]);
    expect(await usedBytes(userId)).toBe(30);
    expect(await content(hashOf("0c"))).toMatchObject({ refCount: 1 });
    // Another name is another file.
    const other = await run("entry.link", { ...link, name: "twice.bin" });
    expect(other).toMatchObject({ outcome: "ok", entry: { name: "twice.bin" } });
    expect(await usedBytes(userId)).toBe(60);
  });

  it("never gives more than the quota, however many ask at once", async () => {
    const userId = await newUser(100);
    const asked = Array.from({ length: 20 }, (_, at) => whole(userId, `f${at}`, hashOf("d"), 30));
    const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(3);
    expect(await usedBytes(userId)).toBe(90);
  });

  it("counts open uploads against the quota", async () => {
    const userId = await newUser(100);
    await opened(userId, hashOf("e"), 60);
    const second = await run("upload.create", {
      id: newId(),
      userId,
      fileHash: hashOf("f"),
      sizeBytes: 60,
      name: "b",
      parentId: 0,
      partBytes: 60,
      partCount: 1,
      node: "n1",
    });
    expect(second).toEqual({ outcome: "quota", quotaBytes: 100, usedBytes: 0 });
  });

  it("lets one of fifty merge, and makes one row", async () => {
    const userId = await newUser();
    const id = await opened(userId, hashOf("3"));
    const starts = Array.from({ length: 50 }, (_, at) =>
      run("upload.startMerge", { id, userId, owner: `o${at}`, leaseMs: 60_000 }),
    );
    const outcomes = (await Promise.all(starts)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "started")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "busy")).toHaveLength(49);
    const owner = `o${outcomes.indexOf("started")}`;
    expect(await run("upload.finish", { id, owner: "another" })).toEqual({ outcome: "lost" });
    const finishes = await Promise.all(Array.from({ length: 10 }, () => run("upload.finish", { id, owner })));
    expect(finishes.filter(({ outcome }) => outcome === "ok")).toHaveLength(1);
    expect(await names(userId)).toEqual(["big.bin"]);
    expect(await run("upload.startMerge", { id, userId, owner: "late", leaseMs: 1000 })).toMatchObject({
      outcome: "done",
      entry: { name: "big.bin" },
    });
    expect(await run("upload.cancel", { id, userId })).toEqual({ outcome: "closed" });
  });

  it("keeps an upload from everybody else", async () => {
    const [owner, other] = [await newUser(), await newUser()];
    const id = await opened(owner, hashOf("4"));
    expect(await run("upload.get", { id, userId: other })).toEqual({ upload: null });
    expect(await run("upload.cancel", { id, userId: other })).toEqual({ outcome: "not_found" });
    const start = { id, userId: other, owner: "x", leaseMs: 1000 };
    expect(await run("upload.startMerge", start)).toEqual({ outcome: "not_found" });
    expect(await run("upload.expire", { node: "n1", touchedBeforeMs: 0, limit: 10 })).toEqual({ ids: [] });
    const expired = await run("upload.expire", { node: "n1", touchedBeforeMs: Date.now() + 1, limit: 1000 });
    expect(expired.ids).toContain(id);
    expect(await run("upload.touch", { id })).toEqual({ open: false });
    expect((await run("upload.peek", { id })).upload).toMatchObject({ state: "expired" });
    // Closed for as long again, it is forgotten.
    await run("upload.expire", { node: "n1", touchedBeforeMs: Date.now() + 60_000, limit: 1000 });
    expect(await run("upload.peek", { id })).toEqual({ upload: null });
  });

  it("lets one owner write a part", async () => {
    const uploadId = newId();
    const part = { uploadId, index: 3, leaseMs: 60_000 };
    expect(await run("part.claim", { ...part, owner: "a" })).toEqual({ outcome: "claimed" });
    expect(await run("part.claim", { ...part, owner: "b" })).toEqual({ outcome: "busy", owner: "a" });
    expect(await run("part.list", { uploadId })).toEqual({ parts: [], claims: 1 });
    const partHash = hashOf("5");
    expect(await run("part.record", { uploadId, index: 3, owner: "b", partHash })).toEqual({
      recorded: false,
    });
    expect(await run("part.record", { uploadId, index: 3, owner: "a", partHash })).toEqual({
      recorded: true,
    });
    expect(await run("part.claim", { ...part, owner: "b" })).toEqual({ outcome: "recorded", partHash });
    expect(await run("part.list", { uploadId })).toEqual({ parts: [{ index: 3, partHash }], claims: 0 });
    await run("part.clear", { uploadId });
    expect(await run("part.list", { uploadId })).toEqual({ parts: [], claims: 0 });
  });

  it("gives a challenge once", async () => {
    const userId = await newUser();
    const challenge = { id: newId(), userId, fileHash: hashOf("6") };
    await run("challenge.create", { ...challenge, question: "q", expiresAtMs: Date.now() + 60_000 });
    const takes = await Promise.all([run("challenge.take", challenge), run("challenge.take", challenge)]);
    expect(takes.map(({ question }) => question).sort()).toEqual(["q", null].sort());
  });

  it("takes a content through the outbox into the store and out of it", async () => {
    const userId = await newUser();
    const hash = hashOf("7");
    const added = await whole(userId, "s", hash);
    if (added.outcome !== "ok") throw new Error(added.outcome);
    const claim = { node: "n1", limit: 1000, leaseMs: 60_000 };
    const elsewhere = await run("outbox.claim", { ...claim, node: "n2", owner: "w2" });
    expect(elsewhere.jobs.filter((job) => job.fileHash === hash)).toEqual([]);
    const { jobs } = await run("outbox.claim", { ...claim, owner: "w1" });
    const job = jobs.find((one) => one.fileHash === hash);
    expect(job).toMatchObject({ kind: "put", attempts: 1 });
    expect(await run("outbox.status", { fileHash: hash })).toMatchObject({ state: "storing" });
    const id = job?.id ?? 0;
    expect(await run("outbox.done", { id, owner: "w2" })).toEqual({ held: false });
    // Deleted while it is being stored: the job goes on as a delete.
    await okEntry(run("entry.trash", { userId, id: added.entry.id }));
    await run("entry.discard", { userId, ids: [added.entry.id] });
    await run("entry.purge", { userId, limit: 10 });
    expect(await run("outbox.done", { id, owner: "w1" })).toEqual({ held: true });
    const next = (await run("outbox.claim", { ...claim, owner: "w1" })).jobs.find(
      (one) => one.fileHash === hash,
    );
    expect(next).toMatchObject({ id, kind: "delete" });
    // And uploaded again while it is being deleted: stored again.
    expect(await whole(userId, "s", hash)).toMatchObject({ staged: true });
    expect(await run("outbox.done", { id, owner: "w1" })).toEqual({ held: true });
    const last = (await run("outbox.claim", { ...claim, owner: "w1" })).jobs.find(
      (one) => one.fileHash === hash,
    );
    expect(last).toMatchObject({ kind: "put" });
    await run("outbox.done", { id, owner: "w1" });
    expect(await content(hash)).toMatchObject({ state: "stored" });
    expect(await run("outbox.status", { fileHash: hash })).toMatchObject({ state: "stored", attempts: 0 });
  });

  it("pages without losing or repeating anything while names are added", async () => {
    const userId = await newUser();
    for (let at = 0; at < 9; at++) await whole(userId, `p${at}_%`, hashOf("8"), at + 1);
    for (const sort of ["name", "size", "updated"] as const) {
      for (const descending of [false, true]) {
        const seen: string[] = [];
        let cursor = "";
        do {
          const page = await list(userId, { sort, descending, limit: 4, cursor });
          if (page.outcome !== "ok") throw new Error(page.outcome);
          seen.push(...page.entries.map((entry) => entry.name));
          cursor = page.nextCursor;
        } while (cursor !== "");
        expect(new Set(seen).size).toBe(9);
        expect(seen).toHaveLength(9);
      }
    }
    expect(await names(userId, { query: "3_%" })).toEqual(["p3_%"]);
    expect(await names(userId, { query: "P3" })).toEqual(["p3_%"]);
    expect(await names(userId, { query: "x%" })).toEqual([]);
    expect(await list(userId, { cursor: "nonsense" })).toEqual({ outcome: "bad_cursor" });
  });

  it("counts afresh what was counted wrong", async () => {
    const userId = await newUser();
    await whole(userId, "r", hashOf("9"), 11);
    await connected.db
      .updateTable("tbl_file")
      .set({ ref_count: 7 })
      .where("file_hash", "=", hashOf("9"))
      .execute();
    await connected.db.updateTable("tbl_user").set({ used_bytes: 3 }).where("id", "=", userId).execute();
    expect(await run("content.recount", {})).toEqual({ contents: 1, users: 1 });
    expect(await content(hashOf("9"))).toMatchObject({ refCount: 1 });
    expect(await usedBytes(userId)).toBe(11);
    expect(await run("content.recount", {})).toEqual({ contents: 0, users: 0 });
  });

  it("gives a lease to one owner at a time", async () => {
    const lease = { name: "clean", leaseMs: 60_000 };
    const taken = await Promise.all(["a", "b", "c"].map((owner) => run("lease.take", { ...lease, owner })));
    expect(taken.filter((one) => one.taken)).toHaveLength(1);
  });

  describe("sequence and transaction", () => {
    const create = (username: string) => ({
      name: "user.create",
      params: JSON.stringify({ username, passwordHash: "x", quotaBytes: 1 }),
    });
    const bad = { name: "user.create", params: "{}" };
    const found = async (username: string) => (await run("user.find", { username })).user !== null;

    it("stops a sequence at what fails", async () => {
      const reply = await executor.execute({
        sequence: true,
        transaction: false,
        actions: [create("seq1"), bad, create("seq2")],
      });
      expect(reply.code).toBe(10_001);
      expect(reply.results?.map(({ code }) => code)).toEqual([0, 10_001, -1]);
      expect([await found("seq1"), await found("seq2")]).toEqual([true, false]);
    });

    it("runs each on its own without", async () => {
      const reply = await executor.execute({
        sequence: false,
        transaction: false,
        actions: [create("own1"), { name: "no.such", params: "{}" }, create("own2")],
      });
      expect(reply.results?.map(({ code }) => code)).toEqual([0, 10_001, 0]);
      expect(reply.message).toContain("no.such");
      expect([await found("own1"), await found("own2")]).toEqual([true, true]);
    });

    it("undoes a transaction when one of it fails midway", async () => {
      // The same session twice: the database itself refuses the second.
      const session = {
        name: "session.create",
        params: JSON.stringify({ userId: 1, tokenHash: hashOf("e"), expiresAtMs: 1 }),
      };
      const reply = await executor.execute({
        sequence: false,
        transaction: true,
        actions: [create("tx1"), session, session, create("tx2")],
      });
      expect(reply.code).toBe(10_002);
      expect(reply.results?.map(({ code }) => code)).toEqual([-2, -2, 10_002, -2]);
      expect([await found("tx1"), await found("tx2")]).toEqual([false, false]);
    });
  });
});

describe("opening a database", () => {
  it("names the key when it cannot", async () => {
    await expect(connect("postgres://x")).rejects.toThrow("[database] url");
    await expect(connect("mysql://root@127.0.0.1:1/none")).rejects.toThrow("[database] url");
  });

  it("keeps what is there when it is opened again", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-db-"));
    try {
      for (const expected of [true, false]) {
        const connected = await connect(`sqlite:${folder}/a.db`);
        const reply = await new Executor(connected, silentLogger).execute({
          sequence: true,
          transaction: true,
          actions: [
            {
              name: "user.create",
              params: JSON.stringify({ username: "u", passwordHash: "x", quotaBytes: 1 }),
            },
          ],
        });
        expect(JSON.parse(reply.results?.[0]?.data ?? "")).toMatchObject({ created: expected });
        await connected.close();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
