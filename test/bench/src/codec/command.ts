import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { type Data, dataReport } from "../report/data.js";
import { median } from "../report.js";
import { type Case, codecCases } from "./cases.js";
import { loadRivals, type Rival, type RivalName, rivalNames } from "./rival.js";

const usage = `Usage: npm run bench -- codec [options]

Encodes and decodes messages with the code of \`mprpc generate\`, with protobufjs (the static module of pbjs, and reflected
types), with protobuf-es and with JSON, in one process, in turns: CPU time, medians over the rounds. About a minute.

  --rounds N         default 9
  --slice-ms N       how long one codec runs on one message in one round; default 20
  --only TEXT        only the messages whose name has TEXT in it
  --json FILE        the figures
  --report FOLDER    codec.json and codec.md
  -h, --help
`;

export interface CodecPlan {
  rounds: number;
  /** How long one codec runs on one message in one round. */
  sliceMs: number;
  /** Only the messages whose name has this in it. */
  only: string;
}

type Work = () => unknown;

/** Kept, so that the compiler cannot leave out work whose result nobody reads. */
let kept: unknown;

/** CPU time of the process, its garbage collection on other threads included: waiting for a busy machine is not in it. */
function timeMs(work: Work, runs: number): number {
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run += 1) kept = work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** How many runs fill a slice; the runs it takes to find out, and as many again, warm the code up. */
function runsFor(work: Work, sliceMs: number): number {
  let runs = 1;
  while (timeMs(work, runs) < sliceMs) runs *= 2;
  return Math.max(1, Math.round((runs * sliceMs) / timeMs(work, runs)));
}

/** Nanoseconds a run of each, the codecs taking turns in each round. */
function measure(works: readonly Work[], { rounds, sliceMs }: CodecPlan): number[] {
  const runs = works.map((work) => runsFor(work, sliceMs));
  const samples = works.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < works.length; turn += 1) {
      const at = (turn + round) % works.length;
      const work = works[at];
      const count = runs[at] ?? 1;
      if (work !== undefined) samples[at]?.push((timeMs(work, count) * 1e6) / count);
    }
  }
  return samples.map(median);
}

/** Throws when a codec does not write the bytes that ours writes, or ours does not read what it wrote. */
function check(name: string, rivals: Readonly<Record<RivalName, Rival>>): void {
  const bytes = rivals.mprpc.encode();
  for (const rival of rivalNames) {
    if (rival !== "JSON" && Buffer.compare(bytes, rivals[rival].encode()) !== 0) {
      throw new Error(`${name}: ${rival} writes other bytes than mprpc`);
    }
  }
}

function rowsOf(one: Case, rivals: Record<RivalName, Rival>, plan: CodecPlan): (string | number)[][] {
  check(one.name, rivals);
  const bytes = rivals.mprpc.encode().length;
  const jsonBytes = rivals.JSON.encode().length;
  return (["encode", "decode"] as const).map((direction) => {
    const times = measure(
      rivalNames.map((name) => rivals[name][direction]),
      plan,
    );
    const own = times[0] ?? Number.NaN;
    return [one.name, direction, bytes, jsonBytes, ...times, ...times.slice(1).map((ns) => ns / own)];
  });
}

/** Encodes and decodes each message with each codec. */
export async function runCodec(plan: CodecPlan, progress: (name: string) => void = () => {}): Promise<Data> {
  const rivalsOf = await loadRivals();
  const rows = codecCases()
    .filter(({ name }) => name.includes(plan.only))
    .flatMap((one) => {
      progress(one.name);
      return rowsOf(one, rivalsOf(one), plan);
    });
  if (kept === undefined) throw new Error("nothing was encoded or decoded");
  return {
    title: "Nanoseconds of CPU per message, and how many times that of mprpc the others take",
    columns: [
      "message",
      "",
      "bytes",
      "JSON bytes",
      ...rivalNames.map((name) => `${name}, ns`),
      ...rivalNames.slice(1).map((name) => `${name} / mprpc`),
    ],
    rows,
  };
}

export const codec: Command = {
  usage,
  about: "generated code beside protobufjs, protobuf-es and JSON",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rounds: { type: "string" },
        "slice-ms": { type: "string" },
        only: { type: "string", default: "" },
        json: { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const { only, json } = values;
    const plan = {
      rounds: positive("rounds", values.rounds, 9),
      sliceMs: positive("slice-ms", values["slice-ms"], 20),
      only,
    };
    return {
      reportFolder: values.report,
      async run() {
        const data = await runCodec(plan, (name) => log(`codec: ${name}`));
        return dataReport("codec", "Encoding and decoding", [data], json);
      },
    };
  },
};
