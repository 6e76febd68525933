import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { log, positive, UsageError } from "./arguments.js";
import type { Command } from "./command.js";
import { prepareCpp } from "./cpp.js";
import { type Measurement, Pair, type Window } from "./pair.js";
import type { Report } from "./report/write.js";
import { compareReport, type IdleRow, medianOf, type Row, ratios } from "./report.js";
import { rotated } from "./rounds.js";
import { type Load, type TargetName, targetNames } from "./target.js";

const usage = `Usage: npm run bench -- [compare] [options]

Measures unary Login over loopback, provider and caller in two processes with a core each, one connection, beside a raw
framed echo (the limit), @grpc/grpc-js (the peer) and, when asked for, other frameworks. Prints medians over alternating rounds, their ratios and the goals.

  --quick            20 B only, three short rounds; ends within 50 s
  --json FILE        where the figures go; default: test/bench/results/<date>.json (none with --quick)
  --targets LIST     of ${targetNames.join(", ")}, or all;
                     default: mprpc,raw,grpc-js, and mprpc-full without --quick; grpc-cpp, when named, fetches and
                     unpacks the Debian packages it is built with
  --rounds N         default 3
  --measure-ms N     length of one window; default 2000, with --quick 700
  --no-pin           let the system place the processes, instead of one core each
  --no-idle          leave out the memory of idle connections (1000 of them; never measured with --quick)
  --report FOLDER    compare.json, compare.md and plots
  -h, --help
`;

interface Plan {
  targets: TargetName[];
  /** Targets were named one by one: what one of them needs is fetched, and none is left out. */
  named: boolean;
  loads: Load[];
  rounds: number;
  window: Window;
  pin: boolean;
  idleConnections: number;
  /** No new round starts when it would end after so many milliseconds. */
  timeMaxMs: number;
  quick: boolean;
  jsonFile: string | undefined;
  reportFolder: string | undefined;
}

const smallLoads: Load[] = [1, 16, 64, 256].map((inFlight) => ({ payloadBytes: 20, inFlight }));
const largeLoad: Load = { payloadBytes: 65_536, inFlight: 16 };

function targetsOf(list: string | undefined, quick: boolean): TargetName[] {
  const standard = quick ? "mprpc,raw,grpc-js" : "mprpc,mprpc-full,raw,grpc-js";
  if (list === "all") return [...targetNames];
  return (list ?? standard).split(",").map((text) => {
    const name = targetNames.find((known) => known === text);
    if (name === undefined) throw new UsageError(`--targets: "${text}" is none of ${targetNames.join(", ")}`);
    return name;
  });
}

function parsePlan(argv: readonly string[]): Plan | undefined {
  const { values } = parseArgs({
    args: [...argv],
    allowNegative: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      targets: { type: "string" },
      rounds: { type: "string" },
      "measure-ms": { type: "string" },
      pin: { type: "boolean", default: true },
      idle: { type: "boolean", default: true },
      report: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const results = fileURLToPath(new URL("../results/", import.meta.url));
  const standardFile = path.join(results, `${new Date().toISOString().replaceAll(":", "-")}.json`);
  return {
    targets: targetsOf(values.targets, quick),
    named: values.targets !== undefined && values.targets !== "all",
    loads: quick ? smallLoads : [...smallLoads, largeLoad],
    rounds: positive("rounds", values.rounds, 3),
    window: {
      warmMs: quick ? 150 : 500,
      measureMs: positive("measure-ms", values["measure-ms"], quick ? 700 : 2000),
    },
    pin: values.pin,
    idleConnections: values.idle && !quick ? 1000 : 0,
    timeMaxMs: quick ? 46_000 : Number.POSITIVE_INFINITY,
    quick,
    jsonFile: values.json ?? (quick ? undefined : standardFile),
    reportFolder: values.report,
  };
}

/** Runs the rounds: every load in turn, every target within it, so that noise of the machine hits all alike. */
async function measureAll(
  plan: Plan,
  pairs: ReadonlyMap<TargetName, Pair>,
  startedMs: number,
): Promise<Row[]> {
  const cells = plan.loads.flatMap((load) =>
    plan.targets.map((target) => ({ target, load, measurements: [] as Measurement[] })),
  );
  for (let round = 0; round < plan.rounds; round += 1) {
    const roundStartMs = performance.now();
    for (const load of plan.loads) {
      for (const cell of rotated(
        cells.filter((one) => one.load === load),
        round,
      )) {
        const pair = pairs.get(cell.target);
        if (pair === undefined) continue;
        const { made, served, ...measurement } = await pair.measure(load, plan.window);
        cell.measurements.push(measurement);
      }
    }
    const roundMs = performance.now() - roundStartMs;
    log(`round ${round + 1} of ${plan.rounds}: ${(roundMs / 1000).toFixed(1)} s`);
    if (performance.now() - startedMs + roundMs > plan.timeMaxMs) break;
  }
  return cells.map(({ target, load, measurements }) => ({ target, ...load, ...medianOf(measurements) }));
}

/** In processes of their own: memory that calls have once used would hide what connections add. */
async function measureIdle({ targets, idleConnections, pin }: Plan): Promise<IdleRow[]> {
  const rows: IdleRow[] = [];
  for (const target of idleConnections === 0 ? [] : targets) {
    // Its nodes have one connection to each other, however many callers there are.
    if (target === "moleculer") continue;
    const pair = await Pair.start(target, pin);
    try {
      rows.push({ target, kibPerIdleConnection: await pair.idleKibPerConnection(idleConnections) });
      log(`${target}: ${idleConnections} idle connections`);
    } finally {
      await pair.close();
    }
  }
  return rows;
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

/** The fields every reader of the JSON file can count on. */
function figures(row: Row) {
  return {
    target: row.target,
    payloadBytes: row.payloadBytes,
    inFlight: row.inFlight,
    callsPerSecond: rounded(row.callsPerSecond, 1),
    p50Us: rounded(row.p50Us, 2),
    p99Us: rounded(row.p99Us, 2),
    clientCpuUsPerCall: rounded(row.clientCpuUsPerCall, 4),
    serverCpuUsPerCall: rounded(row.serverCpuUsPerCall, 4),
  };
}

function writeJson(plan: Plan, rows: readonly Row[], idle: readonly IdleRow[]): void {
  if (plan.jsonFile === undefined) return;
  const full = () => ({
    date: new Date().toISOString(),
    node: process.version,
    cpu: `${os.cpus().length} x ${os.cpus()[0]?.model ?? "unknown"}`,
    rounds: plan.rounds,
    ...plan.window,
    rows: rows.map((row) => ({
      ...figures(row),
      clientRssMib: rounded(row.clientRssMib, 1),
      serverRssMib: rounded(row.serverRssMib, 1),
    })),
    ratios: ratios(rows),
    idle,
  });
  mkdirSync(path.dirname(path.resolve(plan.jsonFile)), { recursive: true });
  writeFileSync(plan.jsonFile, `${JSON.stringify(plan.quick ? rows.map(figures) : full(), null, 2)}\n`);
  log(`figures in ${plan.jsonFile}`);
}

/** The plan with the targets this machine can run. */
function runnable(plan: Plan): Plan {
  if (!plan.targets.includes("grpc-cpp")) return plan;
  const missing = prepareCpp({ fetch: plan.named, env: process.env, log });
  if (missing === undefined) return plan;
  if (plan.named) throw new Error(`grpc-cpp: ${missing}`);
  log(`grpc-cpp is left out: ${missing}`);
  return { ...plan, targets: plan.targets.filter((target) => target !== "grpc-cpp") };
}

async function run(asked: Plan, startedMs: number): Promise<Report> {
  const plan = runnable(asked);
  const pairs = new Map<TargetName, Pair>();
  try {
    for (const target of plan.targets) pairs.set(target, await Pair.start(target, plan.pin));
    for (const pair of pairs.values()) {
      await pair.measure(
        { payloadBytes: 20, inFlight: 64 },
        { warmMs: plan.quick ? 500 : 2000, measureMs: 100 },
      );
    }
    log(`${plan.targets.join(", ")} are up and warm`);
    const rows = await measureAll(plan, pairs, startedMs);
    await Promise.all([...pairs.values()].map((pair) => pair.close()));
    const idle = await measureIdle(plan);
    writeJson(plan, rows, idle);
    return compareReport(rows, idle);
  } finally {
    for (const pair of pairs.values()) pair.kill();
  }
}

export const compare: Command = {
  usage,
  about: "mprpc beside a raw echo, grpc-js and other frameworks",
  parse(argv) {
    const plan = parsePlan(argv);
    if (plan === undefined) return undefined;
    return { reportFolder: plan.reportFolder, run: (startedMs) => run(plan, startedMs) };
  },
};
