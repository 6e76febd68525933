import { expect, test } from "vitest";
import { startDisk } from "../support/disk.js";

test("a node without services starts and stops", async () => {
  const disk = await startDisk({ services: [] });
  const node = await disk.startNode([]);
  expect(node.httpAddresses.size).toBe(0);
  await node.stop();
});

test("the same in a process of its own, until SIGTERM", async () => {
  const disk = await startDisk({ services: [] });
  const started = await disk.startProcess([]);
  expect(await started.kill("SIGTERM")).toBe(0);
});
