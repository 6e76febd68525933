import { expect, test } from "vitest";
import { SharedWork, sharedBy } from "../../src/common/shared-work.js";
import { deferred } from "./deferred.js";

test("who asks while it runs shares the next run; a failure is told to those of that run alone", async () => {
  const shared = new SharedWork();
  const gates = [deferred(), deferred()];
  let runs = 0;
  const work = async (): Promise<void> => {
    const run = runs++;
    await gates[run]?.promise;
    if (run === 0) throw new Error("the first failed");
  };
  const first = shared.run(work);
  const failed = expect(first).rejects.toThrow("the first failed");
  await expect.poll(() => runs).toBe(1);
  const [second, third] = [shared.run(work), shared.run(work)];
  expect(second).toBe(third);
  expect(second).not.toBe(first);
  gates[0]?.resolve();
  await failed;
  gates[1]?.resolve();
  await second;
  expect(runs).toBe(2);
  expect(shared.idle).toBe(true);
});

test("by key: those of one are shared, those of another are not", async () => {
  const runs: string[] = [];
  const run = (key: string) => sharedBy(key, async () => void runs.push(key));
  await Promise.all([run("a"), run("a"), run("b"), run("a")]);
  expect(runs.toSorted()).toEqual(["a", "b"]);
  await run("a");
  expect(runs).toHaveLength(3);
});
