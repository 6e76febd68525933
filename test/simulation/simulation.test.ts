import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Simulation, simulate } from "../../src/testing/index.js";
import { compiled } from "../tools/compiled.js";
import { namedSeeds } from "./named-seeds.js";
import { replayCommand, scenario } from "./scenario.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** On each push; `main.ts` plays any number. */
const seedCount = Number(process.env.MPRPC_SIMULATION_SEEDS ?? 200);

async function hashOf(seed: number): Promise<string> {
  const sim = new Simulation({ seed });
  await scenario(sim);
  return sim.trace.hash;
}

describe("three providers and four callers", () => {
  test.each(namedSeeds)("seed %i: %s", async (seed) => {
    await simulate({ seeds: 1, firstSeed: seed, twice: 0, replay: replayCommand }, scenario);
  });

  test(`${seedCount} seeds`, { timeout: 300_000 }, async () => {
    // Stack traces of the thousands of failures a run makes on purpose take a tenth of its time.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      const options = { seeds: seedCount, twice: 3, traceLines: 0, replay: replayCommand };
      expect(await simulate(options, scenario)).toMatchObject({ seeds: seedCount });
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  });

  test("a seed gives the same trace in another process", async () => {
    const args = [compiled("test/simulation/main.ts"), "--seed", "11", "--hash"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
    expect(stdout.trim()).toBe(await hashOf(11));
    expect(await hashOf(12)).not.toBe(await hashOf(11));
  });
});
