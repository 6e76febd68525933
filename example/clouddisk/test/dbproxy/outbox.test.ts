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
});
