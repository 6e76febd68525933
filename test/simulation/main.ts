// Plays many seeds of the scenario, or one with its trace. Run by hand and, with fewer seeds, by simulation.test.ts.
import { Simulation, SimulationError, simulate } from "../../src/testing/index.js";
import { readOptions, wholeNumber } from "../tools/program.js";
import { replayCommand, scenario } from "./scenario.js";

const usage = `Usage: node --import tsx test/simulation/main.ts [options]

Plays a scenario of services, callers and faults on a virtual clock, once for each seed.

  --seeds N         how many; default 1000
  --first N         the first of them; default 1
  --keep            go on after a seed that failed
  --seed N          this one alone, its trace on stdout
  --hash            only the hash of that trace
  -h, --help
`;

const values = readOptions(usage, {
  seeds: { type: "string", default: "1000" },
  first: { type: "string", default: "1" },
  seed: { type: "string" },
  hash: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
});

async function playOne(seed: number): Promise<void> {
  const sim = new Simulation({ seed, traceLines: Number.MAX_SAFE_INTEGER });
  try {
    await scenario(sim);
  } finally {
    if (values.hash) console.log(sim.trace.hash);
    else console.log(`${sim.trace.lines.join("\n")}\ntrace ${sim.trace.hash}, seed ${seed}`);
  }
}

/** Goes on after a seed that failed when `--keep` is given. */
async function playMany(first: number, count: number): Promise<void> {
  const failed: number[] = [];
  let [next, events, simulatedMs] = [first, 0, 0];
  const startedMs = performance.now();
  while (next < first + count) {
    const seeds = Math.min(values.keep ? 1 : 500, first + count - next);
    try {
      const report = await simulate({ seeds, firstSeed: next, twice: 0, replay: replayCommand }, scenario);
      events += report.events;
      simulatedMs += report.simulatedMs;
      next += seeds;
      if (!values.keep) console.error(`${next - first} seeds`);
    } catch (error) {
      if (!(error instanceof SimulationError)) throw error;
      console.error(error.message);
      failed.push(error.seed);
      if (!values.keep) break;
      next = error.seed + 1;
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${next - first} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(", ")})` : ""}: ${events} events, ${(simulatedMs / 60_000).toFixed(0)} min simulated in ${seconds} s`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

if (values.seed !== undefined) await playOne(wholeNumber("seed", values.seed));
else await playMany(wholeNumber("first", values.first), wholeNumber("seeds", values.seeds, 1));
