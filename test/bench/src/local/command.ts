import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import { Child } from "../child.js";
import type { Command } from "../command.js";
import { Pair } from "../pair.js";
import { type Data, dataReport } from "../report/data.js";
import { median } from "../report.js";
import type { LocalAnswers, LocalRequest } from "./protocol.js";

const usage = `Usage: npm run bench -- local [options]

A Login of 20 bytes with 1, 16 and 256 calls in flight, in turns: between two processes by TCP, and between a channel and a provider in one
process that meet over TCP, over a unix socket, and within the process. CPU is that of both sides together; medians over the rounds,
ratios of each round.

  --rounds N         default 20
  --slice-ms N       how long one way is measured in one round; default 300
  --report FOLDER    local.json and local.md
  -h, --help
`;

const ways = ["two processes", "tcp", "unix", "inproc"] as const;
type Way = (typeof ways)[number];
type Sample = LocalAnswers["measure"];

export interface LocalPlan {
  rounds: number;
  /** How long one way is measured in one round. */
  sliceMs: number;
  inFlight: readonly number[];
}

interface Measured {
  measure(inFlight: number, sliceMs: number): Promise<Sample>;
  close(): Promise<void>;
}

/** What a call costs while the provider is a process of its own. */
async function twoProcesses(): Promise<Measured> {
  const pair = await Pair.start("mprpc", true);
  return {
    async measure(inFlight, measureMs) {
      const got = await pair.measure({ payloadBytes: 20, inFlight }, { warmMs: 0, measureMs });
      return { us: 1e6 / got.callsPerSecond, cpuUs: got.clientCpuUsPerCall + got.serverCpuUsPerCall };
    },
    close: () => pair.close(),
  };
}

/** Each way has a process of its own: code that has seen all of them is compiled for none. */
async function open(way: Way, folder: string): Promise<Measured> {
  if (way === "two processes") return twoProcesses();
  const name = `channel and provider, ${way}`;
  const options = { name, program: "local/worker", args: [way, folder] };
  const child = await Child.start<LocalRequest, LocalAnswers>(options);
  return {
    measure: (inFlight, sliceMs) => child.ask({ kind: "measure", inFlight, sliceMs }),
    async close() {
      await child.ask({ kind: "close" }).catch(() => {});
      child.kill();
    },
  };
}

/** The ways take turns, each round beginning with another one; the first round warms the code up. */
export async function runLocal(plan: LocalPlan): Promise<Data> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-local-"));
  const measured: Measured[] = [];
  const rows: Array<Array<string | number>> = [];
  try {
    for (const way of ways) measured.push(await open(way, folder));
    for (const inFlight of plan.inFlight) {
      const samples = await takeTurns(measured, inFlight, plan);
      for (const [at, way] of ways.entries()) rows.push([inFlight, way, ...figuresOf(samples, at)]);
    }
  } finally {
    for (const one of measured) await one.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const against = ["two processes", "tcp"].flatMap((way) => [`calls/s against ${way}`, `CPU against ${way}`]);
  return {
    title: "A Login of 20 bytes: provider and channel in two processes (TCP), or in one",
    columns: ["in flight", "way", "us a call", "CPU us a call", ...against],
    rows,
  };
}

async function takeTurns(
  measured: readonly Measured[],
  inFlight: number,
  plan: LocalPlan,
): Promise<Sample[][]> {
  const samples = measured.map((): Sample[] => []);
  for (let round = 0; round <= plan.rounds; round += 1) {
    for (let turn = 0; turn < measured.length; turn += 1) {
      const at = (turn + round) % measured.length;
      const sample = await (measured[at] as Measured).measure(inFlight, plan.sliceMs);
      if (round > 0) samples[at]?.push(sample);
    }
  }
  return samples;
}

/** Medians of one way, and its ratios to the first two. */
function figuresOf(samples: readonly Sample[][], at: number): number[] {
  const own = samples[at] ?? [];
  const against = (base: readonly Sample[] = []): number[] => {
    const ratios = (of: keyof Sample): number =>
      median(own.map((sample, i) => (base[i]?.[of] ?? Number.NaN) / sample[of]));
    return [ratios("us"), 1 / ratios("cpuUs")];
  };
  const medians = [median(own.map(({ us }) => us)), median(own.map(({ cpuUs }) => cpuUs))];
  return [...medians, ...against(samples[0]), ...against(samples[1])];
}

export const local: Command = {
  usage,
  about: "within a process, by unix socket and by TCP",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rounds: { type: "string" },
        "slice-ms": { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const plan = {
      rounds: positive("rounds", values.rounds, 20),
      sliceMs: positive("slice-ms", values["slice-ms"], 300),
      inFlight: [1, 16, 256],
    };
    return {
      reportFolder: values.report,
      async run() {
        log(`local: ${plan.rounds} rounds of ${plan.inFlight.length * ways.length} slices`);
        return dataReport("local", "Within a machine and a process", [await runLocal(plan)], undefined);
      },
    };
  },
};
