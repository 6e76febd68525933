import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { type InFlightResult, ScaleRun, type Sides } from "./measure.js";

/** A slice of what `node --import tsx test/scale/main.ts` measures: two processes, one after the other thing. */

let run: ScaleRun;

beforeAll(async () => {
  run = await ScaleRun.start();
});

afterAll(() => run.kill());

/** Heap and what hangs on it, bytes: it is counted after collections, and so the same in every run. */
function bytes({ heapBytes, externalBytes }: Sides["provider"]): number {
  return heapBytes + externalBytes;
}

function expectAll(result: InFlightResult): void {
  expect(result.counts.inFlight).toBe(result.calls);
  expect(result.counts.connections).toBe(result.connections);
  expect(result.settled).toMatchObject({ answered: result.calls, failed: {} });
  // About 1.1 KiB each.
  expect(bytes(result.held.provider)).toBeLessThan(2048);
  expect(bytes(result.held.caller)).toBeLessThan(2048);
  // It is given back.
  expect(bytes(result.left.provider)).toBeLessThan(128);
  expect(bytes(result.left.caller)).toBeLessThan(128);
}

test.each([1, 100])("100,000 calls in flight over %s connections", async (connections) => {
  expectAll(await run.inFlight(100_000, connections));
});

test("1,000 connections, held and used", async () => {
  const result = await run.connections(1000, 10);
  expect(result.answered).toBe(10_000);
  expect(result.counts).toMatchObject({ connections: 1000, inFlight: 0 });
  // About 6.5 and 14 KiB; a caller has a channel for each here.
  expect(bytes(result.used.provider)).toBeLessThan(12 * 1024);
  expect(bytes(result.used.caller)).toBeLessThan(24 * 1024);
});

test("1,000 services of one provider, in a folder", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-scale-"));
  try {
    const result = await run.services(1000, `file:${folder}`);
    expect(result.answered).toBe(2000);
    expect(bytes(result.each.provider)).toBeLessThan(32 * 1024);
    expect(bytes(result.each.caller)).toBeLessThan(24 * 1024);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("100 services of one provider, in ZooKeeper", async () => {
  const { server, chroot } = await sharedZooKeeper();
  const result = await run.services(100, `zookeeper://${server.address}${chroot}`);
  expect(result.answered).toBe(200);
});
