import { parseArgs } from "node:util";
import { chosen, log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { type Measurement, Pair } from "../pair.js";
import { figure } from "../report/plot.js";
import { type Report, short } from "../report/write.js";
import { medianOf } from "../report.js";
import { rotated } from "../rounds.js";
import { type TargetName, targetNames } from "../target.js";

const mibBytes = 1024 * 1024;
const rates = [0, 1, 10, 100];
const standardTargets: readonly TargetName[] = ["mprpc", "grpc-js"];

const usage = `Usage: npm run bench -- mixed [options]

How long small calls take beside a stream of large ones on the same connection: 16 Logins of 20 B in flight, and besides them
calls of 1 MiB each way at 0, 1, 10 and 100 MiB a second. Two processes with a core each; medians of alternating rounds.

  --targets LIST     of ${standardTargets.join(", ")}; default: all
  --rates LIST       MiB a second, each way; default: ${rates.join(",")}
  --rounds N         default 3
  --measure-ms N     length of one window; default 2000
  --no-pin           let the system place the processes
  --report FOLDER    mixed.json, mixed.md and a plot
  -h, --help
`;

interface Plan {
  targets: readonly TargetName[];
  rates: readonly number[];
  rounds: number;
  measureMs: number;
  pin: boolean;
}

interface MixedRow extends Measurement {
  target: TargetName;
  /** As wanted, each way. */
  mibPerSecond: number;
  /** As carried, each way. */
  carriedMibPerSecond: number;
}

async function measureMixed({ targets, rates: wanted, rounds, measureMs, pin }: Plan): Promise<MixedRow[]> {
  const pairs = new Map<TargetName, Pair>();
  const cells = wanted.flatMap((mibPerSecond) =>
    targets.map((target) => ({
      target,
      mibPerSecond,
      taken: [] as Array<Measurement & { carried: number }>,
    })),
  );
  try {
    for (const target of targets) pairs.set(target, await Pair.start(target, pin));
    for (let round = 0; round < rounds; round += 1) {
      for (const { target, mibPerSecond, taken } of rotated(cells, round)) {
        const besides =
          mibPerSecond === 0 ? {} : { besides: { payloadBytes: mibBytes, callsPerSecond: mibPerSecond } };
        const load = { payloadBytes: 20, inFlight: 16, ...besides };
        const measured = await pairs.get(target)?.measure(load, { warmMs: measureMs / 4, measureMs });
        if (measured === undefined) continue;
        const { besides: large, made: _made, served: _served, ...measurement } = measured;
        const carried = large === undefined ? 0 : (large.made * 1000) / large.elapsedMs;
        taken.push({ ...measurement, carried });
      }
      log(`round ${round + 1} of ${rounds}`);
    }
  } finally {
    for (const pair of pairs.values()) await pair.close();
  }
  return cells.map(({ target, mibPerSecond, taken }) => ({
    target,
    mibPerSecond,
    ...medianOf(taken),
    carriedMibPerSecond:
      [...taken.map(({ carried }) => carried)].sort((a, b) => a - b)[taken.length >> 1] ?? 0,
  }));
}

function mixedReport(targets: readonly TargetName[], rows: readonly MixedRow[]): Report {
  const lines = rows.map((row) => {
    const alone = rows.find(({ target, mibPerSecond }) => target === row.target && mibPerSecond === 0);
    return [
      row.target,
      String(row.mibPerSecond),
      short(row.carriedMibPerSecond),
      short(row.callsPerSecond),
      short(row.p50Us),
      short(row.p99Us),
      alone === undefined ? "" : `x ${short(row.p99Us / alone.p99Us)}`,
    ];
  });
  const head = ["", "MiB/s wanted", "carried", "small calls/s", "p50 µs", "p99 µs", "p99 against alone"];
  const title = "Small calls beside large ones";
  const beside = rows.filter(({ mibPerSecond }) => mibPerSecond > 0);
  const svg = figure(title, [
    {
      kind: "lines",
      title: "p99 of a small call",
      x: {
        label: "MiB/s each way, in messages of 1 MiB",
        unit: "count",
        scale: "log",
        ticks: [...new Set(beside.map(({ mibPerSecond }) => mibPerSecond))],
      },
      y: { label: "µs", unit: "count", scale: "auto" },
      lines: targets.map((name) => ({
        name,
        points: beside
          .filter(({ target }) => target === name)
          .map(({ mibPerSecond, p99Us }) => ({ x: mibPerSecond, y: p99Us })),
      })),
    },
  ]);
  const about =
    "One connection: 16 Logins of 20 B in flight, and calls with 1 MiB each way at a pace besides. A large message goes in chunks of 128 KiB, and small frames pass between them.";
  return {
    command: "mixed",
    title,
    sections: [
      {
        title,
        text: [about],
        tables: [{ head, lines }],
        plots: beside.length === 0 ? [] : [{ name: "mixed", title, svg }],
      },
    ],
    results: rows,
  };
}

export const mixed: Command = {
  usage,
  about: "how long small calls take beside a stream of large ones",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: {
        targets: { type: "string" },
        rates: { type: "string" },
        rounds: { type: "string" },
        "measure-ms": { type: "string" },
        pin: { type: "boolean", default: true },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const list = values.rates?.split(",").map((text) => (text === "0" ? 0 : positive("rates", text, 0)));
    const plan: Plan = {
      targets:
        values.targets === undefined ? standardTargets : chosen("targets", values.targets, targetNames),
      rates: list ?? rates,
      rounds: positive("rounds", values.rounds, 3),
      measureMs: positive("measure-ms", values["measure-ms"], 2000),
      pin: values.pin,
    };
    return {
      reportFolder: values.report,
      run: async () => mixedReport(plan.targets, await measureMixed(plan)),
    };
  },
};
