import { expect, test } from "vitest";
import { startDisk } from "../support/disk.js";

test("a node without services starts and stops", async () => {
  const disk = await startDisk({ services: [] });
  const node = await disk.startNode([]);
  expect(node.httpAddresses.size).toBe(0);
  await node.stop();
});

test.each(["SIGTERM", "SIGHUP"] as const)("the same in a process of its own, until %s", async (signal) => {
  const disk = await startDisk({ services: [] });
  const started = await disk.startProcess([]);
  expect(await started.kill(signal)).toBe(0);
});
