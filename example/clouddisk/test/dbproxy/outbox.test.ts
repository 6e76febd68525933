import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { databases } from "./databases.js";
import { Actions } from "./harness.js";

describe.each(databases)("the outbox on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  it.each(["same name", "another name"])(
    "has a job that was given up tried again when its content is sent again, under the %s",
    async (name) => {
      const userId = await actions.user();
      const { fileHash } = await actions.file(userId, "same name", `given up: ${name}`);
      const claim = { node: "n1", owner: "w", limit: 1000, leaseMs: 60_000 };
      const { jobs } = await actions.run("outbox.claim", claim);
      const id = jobs.find((job) => job.fileHash === fileHash)?.id ?? 0;
      await actions.run("outbox.retry", {
        id,
        owner: "w",
        error: "its staged copy is gone",
        nextAttemptMs: Date.now() + 3_600_000,
        failed: true,
      });
      expect((await actions.run("outbox.status", { fileHash })).state).toBe("failed");
      await actions.file(userId, name, `given up: ${name}`);
      const again = await actions.run("outbox.claim", claim);
      expect(again.jobs.map((job) => job.id)).toContain(id);
    },
  );

  it("gives the job of one content to whoever takes it first, due or not", async () => {
    const { fileHash } = await actions.file(await actions.user(), "taken");
    const take = { fileHash, leaseMs: 60_000 };
    const nothing = { job: null, heldForMs: 0 };
    expect(await actions.run("outbox.take", { ...take, node: "n2", owner: "w" })).toEqual(nothing);
    const { job } = await actions.run("outbox.take", { ...take, node: "n1", owner: "w" });
    expect(job).toMatchObject({ kind: "put", fileHash, node: "n1" });
    const second = await actions.run("outbox.take", { ...take, node: "n1", owner: "other" });
    expect(second.job).toBeNull();
    expect(second.heldForMs).toBeGreaterThan(50_000);
    const later = { error: "the store is away", nextAttemptMs: Date.now() + 3_600_000, failed: true };
    await actions.run("outbox.retry", { id: job?.id ?? 0, owner: "w", ...later });
    const again = await actions.run("outbox.take", { ...take, node: "n1", owner: "other" });
    expect(again.job?.id).toBe(job?.id);
    await actions.run("outbox.done", { id: job?.id ?? 0, owner: "other" });
    expect(await actions.run("outbox.take", { ...take, node: "n1", owner: "w" })).toEqual(nothing);
  });

  it("leaves young jobs to the broker, but not those whose worker is silent", async () => {
    const young = await actions.file(await actions.user(), "young");
    const begun = await actions.file(await actions.user(), "begun");
    await actions.run("outbox.take", { fileHash: begun.fileHash, node: "n1", owner: "dead", leaseMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const claim = { node: "n1", owner: "w", limit: 1000, leaseMs: 1 };
    const old = (await actions.run("outbox.claim", { ...claim, dueForMs: 3_600_000 })).jobs;
    expect(old.map((job) => job.fileHash)).toContain(begun.fileHash);
    expect(old.map((job) => job.fileHash)).not.toContain(young.fileHash);
    const all = (await actions.run("outbox.claim", claim)).jobs;
    expect(all.map((job) => job.fileHash)).toContain(young.fileHash);
  });

  it("tells of what was committed, and of nothing else", async () => {
    const { told } = actions;
    const forget = (): void => {
      told.users.clear();
      told.jobs.clear();
    };
    const userId = await actions.user();
    forget();
    const { id, fileHash } = await actions.file(userId, "told");
    expect([...told.users, ...told.jobs]).toEqual([
      [userId, false],
      [fileHash, { kind: "put", node: "n1" }],
    ]);
    forget();
    const folder = { userId, parentId: 0, name: "undone", reuse: false };
    const failed = await actions.together(
      { name: "entry.createFolder", params: folder },
      { name: "entry.rename", params: { userId } },
    );
    expect(failed).not.toBe("");
    await actions.list(userId);
    expect(told.size).toBe(0);
    await actions.run("entry.trash", { userId, id });
    await actions.run("entry.discard", { userId, ids: [id] });
    forget();
    await actions.run("entry.purge", { userId, limit: 100 });
    expect([...told.jobs]).toEqual([[fileHash, { kind: "delete", node: "n1" }]]);
    const tokenHash = "a".repeat(64);
    await actions.run("session.create", { userId, tokenHash, expiresAtMs: Date.now() + 60_000 });
    forget();
    await actions.run("session.delete", { tokenHash });
    expect([...told.users]).toEqual([[userId, true]]);
  });
});
