import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { endInstance, isGone, newInstance } from "../../src/common/instance.js";

test("an owner is gone when its node or its process has ended, and never when nobody here can know", async () => {
  const instance = newInstance("disk-1");
  const other = newInstance("disk-1");
  expect([isGone(instance), isGone(`${instance}/ab`), isGone(other)]).toEqual([false, false, false]);
  endInstance(instance);
  expect([isGone(instance), isGone(`${instance}/ab`), isGone(other)]).toEqual([true, true, false]);

  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"]);
  await once(child, "spawn");
  const theirs = other.replace(`:${process.pid}:`, `:${child.pid}:`);
  expect(isGone(theirs)).toBe(false);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(isGone(theirs)).toBe(true);
  // The same process id on another machine is another process.
  expect(isGone(theirs.replace(/@[0-9a-f]{12}/, "@000000000000"))).toBe(false);
  expect(isGone("somebody")).toBe(false);
  endInstance(other);
});
