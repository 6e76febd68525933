import { callback, checkOptions, integer } from "../../base/options.js";
import { Simulation, type SimulationOptions } from "./simulation.js";

export interface SimulateOptions extends Omit<SimulationOptions, "seed"> {
  /** How many seeds. Default 100. */
  seeds?: number | undefined;
  /** The first of them. Default 1. */
  firstSeed?: number | undefined;
  /** Of so many seeds a second run is made, and must give the same trace. Default 1. */
  twice?: number | undefined;
  /** The command that runs one seed alone, for the message of a failure. Default: this one, with the variable set. */
  replay?: ((seed: number) => string) | undefined;
}

/** What a `simulate` has done. */
export interface SimulateReport {
  readonly seeds: number;
  /** Lines of all traces. */
  readonly events: number;
  /** Milliseconds of all simulations together. */
  readonly simulatedMs: number;
}

/** A seed that failed: `cause` is what its scenario threw. */
export class SimulationError extends Error {
  override readonly name = "SimulationError";
  readonly seed: number;
  /** All that happened, line by line. */
  readonly trace: readonly string[];

  constructor(message: string, options: { seed: number; trace: readonly string[]; cause: unknown }) {
    super(message, { cause: options.cause });
    this.seed = options.seed;
    this.trace = options.trace;
  }
}

/** Set to a seed, it makes `simulate` run that one alone and write its trace to stderr. */
export const seedVariable = "MPRPC_SIMULATION_SEED";

/** So many lines at the end of a trace stand in the message of a failure. */
const shownLines = 30;
const decidedOutside = "something outside the simulation decides (a clock, a random number, I/O)";

interface Plan {
  readonly options: SimulationOptions;
  readonly scenario: (sim: Simulation) => Promise<void>;
  readonly replay: (seed: number) => string;
}

interface Outcome {
  readonly sim: Simulation;
  readonly failure: { readonly cause: unknown } | undefined;
}

/**
 * Runs `scenario` once for each seed. The first seed that fails ends it: the promise rejects with a `SimulationError`
 * that names the seed, the command that replays it alone, and the end of its trace.
 */
export async function simulate(
  options: SimulateOptions,
  scenario: (sim: Simulation) => Promise<void>,
): Promise<SimulateReport> {
  const { seeds, firstSeed, twice, replay, ...rest } = options;
  const checked = checkOptions(
    "simulate",
    { seeds, firstSeed, twice, replay },
    {
      seeds: 100,
      firstSeed: 1,
      twice: 1,
      replay: (seed: number) => `${seedVariable}=${seed} <this command>`,
    },
    { seeds: integer(1), firstSeed: integer(0), twice: integer(0), replay: callback },
  );
  const plan: Plan = { options: rest, scenario, replay: checked.replay };
  const only = process.env[seedVariable];
  if (only !== undefined && only !== "") return replayOne(plan, Number(only));
  let events = 0;
  let simulatedMs = 0;
  for (let run = 0; run < checked.seeds; run++) {
    const seed = checked.firstSeed + run;
    const { sim, failure } = await play(plan, seed);
    if (failure !== undefined) throw await explain(plan, seed, failure.cause);
    if (run < checked.twice) await compare(plan, seed, sim);
    events += sim.trace.count;
    simulatedMs += sim.nowMs;
  }
  return { seeds: checked.seeds, events, simulatedMs };
}

async function play({ options, scenario }: Plan, seed: number, whole = false): Promise<Outcome> {
  const lines = whole ? { traceLines: Number.MAX_SAFE_INTEGER } : {};
  const sim = new Simulation({ ...options, ...lines, seed });
  try {
    await scenario(sim);
    return { sim, failure: undefined };
  } catch (cause) {
    return { sim, failure: { cause } };
  } finally {
    for (const host of sim.hosts) host.crash();
  }
}

/** The same seed again, with all of its trace. */
async function explain(plan: Plan, seed: number, cause: unknown): Promise<SimulationError> {
  const { sim, failure } = await play(plan, seed, true);
  const { lines } = sim.trace;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const notAgain = failure === undefined ? `\nit did not fail when it ran again: ${decidedOutside}` : "";
  const end = lines.slice(-shownLines).join("\n  ");
  const text = `seed ${seed} failed: ${reason}${notAgain}\nreplay it with its trace: ${plan.replay(seed)}\nthe trace ends\n  ${end}`;
  return new SimulationError(text, { seed, trace: lines, cause });
}

/** Runs a seed that passed once more: anything that differs was not decided by the seed. */
async function compare(plan: Plan, seed: number, first: Simulation): Promise<void> {
  const second = await play(plan, seed);
  if (second.sim.trace.hash === first.trace.hash) return;
  const one = (await play(plan, seed, true)).sim.trace.lines;
  const other = (await play(plan, seed, true)).sim.trace.lines;
  const at = one.findIndex((line, index) => line !== other[index]);
  const parting = at < 0 ? "" : `; they part at line ${at + 1}:\n  ${one[at]}\n  ${other[at] ?? "(the end)"}`;
  const text = `seed ${seed} gave two different traces: ${decidedOutside}${parting}\nreplay it with its trace: ${plan.replay(seed)}`;
  throw new SimulationError(text, { seed, trace: one, cause: undefined });
}

async function replayOne(plan: Plan, seed: number): Promise<SimulateReport> {
  if (!Number.isSafeInteger(seed)) throw new TypeError(`${seedVariable}: expected a whole number`);
  const { sim, failure } = await play(plan, seed, true);
  process.stderr.write(`${sim.trace.lines.join("\n")}\ntrace ${sim.trace.hash}, seed ${seed}\n`);
  if (failure !== undefined) throw failure.cause;
  return { seeds: 1, events: sim.trace.count, simulatedMs: sim.nowMs };
}
