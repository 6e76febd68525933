import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { compiled } from "../tools/compiled.js";

const program = new URL("cost-process.ts", import.meta.url);
const heap = ["--expose-gc", "--min-semi-space-size=256", "--max-semi-space-size=256"];
/** Code is compiled where it is called: beside it, on a busy machine, it may come late, and slow code allocates more. */
const inStep = ["--no-concurrent-recompilation"];

interface Cost {
  collections: number;
  timers: number;
  writesPer1000: number;
  heapBytesPerCall: number;
  wireBytesPerCall: number;
}

async function costOf(what: "bare" | "policed" | "everything"): Promise<Cost> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...heap,
    ...inStep,
    compiled(program),
    what,
  ]);
  return JSON.parse(stdout) as Cost;
}

/** From Node.js 24 on each promise holds its async context, and other things are larger: 2,550 to 2,670 a bare call. */
const bareHeapMaxBytes = Number.parseInt(process.versions.node, 10) < 24 ? 2_200 : 2_800;

/** The smallest object V8 makes, and it would be one of each call. */
const smallestObjectBytes = 16;

test("a policy that knows the caller allocates nothing for a call", async () => {
  let difference = Number.POSITIVE_INFINITY;
  // Code that is compiled late allocates more, in either process: it is repeated, and the equal pair counts.
  for (let round = 0; round < 3 && Math.abs(difference) >= smallestObjectBytes; round++) {
    const [bare, policed] = [await costOf("bare"), await costOf("policed")];
    difference = policed.heapBytesPerCall - bare.heapBytesPerCall;
  }
  expect(Math.abs(difference)).toBeLessThan(smallestObjectBytes);
});

/** Counts of caller and provider together, at 64 calls in flight: what is measured in time elsewhere is held here. */
test.each([
  { what: "bare" as const, wireBytes: 71, heapMaxBytes: bareHeapMaxBytes, writesMax: 70 },
  { what: "policed" as const, wireBytes: 71, heapMaxBytes: bareHeapMaxBytes, writesMax: 70 },
  { what: "everything" as const, wireBytes: 119, heapMaxBytes: 5_800, writesMax: 100 },
])("a call with $what on its path costs so many bytes, writes and timers", async (row) => {
  let cost = await costOf(row.what);
  // A compiler that comes late on a busy machine leaves calls that allocate more: what a call costs is the least of three.
  for (let again = 0; again < 2 && cost.heapBytesPerCall >= row.heapMaxBytes; again++)
    cost = await costOf(row.what);
  expect(cost.collections).toBe(0);
  expect(cost.wireBytesPerCall).toBe(row.wireBytes);
  // The wheel's, one a tick, and the registry's poll: none of a call's.
  expect(cost.timers).toBeLessThan(100);
  expect(cost.writesPer1000).toBeLessThan(row.writesMax);
  expect(cost.heapBytesPerCall).toBeLessThan(row.heapMaxBytes);
});
