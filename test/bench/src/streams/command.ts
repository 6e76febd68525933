import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chosen, log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { median } from "../report.js";
import { rotated } from "../rounds.js";
import { type IdleStreamsRow, measureIdleStreams, measureStalled, type StalledRow } from "./held.js";
import { type StreamMeasurement, StreamPair, type StreamWindow } from "./pair.js";
import { type StreamResults, type StreamRow, streamsReport } from "./report.js";
import { type StreamLoad, type StreamTargetName, streamTargetNames } from "./target.js";

const idleCounts = { bidi: 4000, server: 10_000 };

const usage = `Usage: npm run bench -- streams [options]

Messages a second of server streams, of client streams, and of bidirectional streams that give back each message, with 1 and with 64 of
them outstanding: 64 B, 1 KiB and 64 KiB, 1 and 64 streams on one connection. Two processes with a core each; medians of alternating rounds.
Then the memory of idle streams (${idleCounts.bidi} bidirectional ones, ${idleCounts.server} server streams), and what one stream that nobody reads does to 99 others.

  --quick            one round of windows as short as it takes to end within 60 s, and streams at rest of mprpc alone
  --json FILE        the figures; with --quick the rows alone
  --targets LIST     of ${streamTargetNames.join(", ")}; default: all
  --rounds N         default 3, with --quick 1
  --measure-ms N     length of one window; default 1000, with --quick 200 at most
  --idle-max N       no more idle streams than these of a kind; 0: none
  --no-stalled       leave out the stalled stream
  --no-pin           let the system place the processes
  --report FOLDER    streams.json and streams.md
  -h, --help
`;

interface Plan {
  targets: readonly StreamTargetName[];
  /** Whose streams at rest are looked at; the raw echo has none. */
  restTargets: readonly StreamTargetName[];
  rounds: number;
  window: StreamWindow;
  idleMax: number;
  stalled: boolean;
  pin: boolean;
  quick: boolean;
  jsonFile: string | undefined;
}

const ways: readonly Pick<StreamLoad, "kind" | "outstanding">[] = [
  { kind: "server" },
  { kind: "client" },
  { kind: "bidi", outstanding: 1 },
  { kind: "bidi", outstanding: 64 },
];

/** At most so many bytes are on their way in one load: 64 times 64 of 64 KiB would measure memory. */
const outstandingMaxBytes = 64 * 1024 * 1024;

export const streamLoads: readonly StreamLoad[] = [64, 1024, 65_536]
  .flatMap((payloadBytes) =>
    [1, 64].flatMap((streams) => ways.map((way) => ({ ...way, payloadBytes, streams }))),
  )
  .filter(
    ({ payloadBytes, streams, outstanding = 0 }) =>
      payloadBytes * streams * outstanding <= outstandingMaxBytes,
  );

function parsePlan(argv: readonly string[]): { plan: Plan; reportFolder: string | undefined } | undefined {
  const { values } = parseArgs({
    args: [...argv],
    allowNegative: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      targets: { type: "string" },
      rounds: { type: "string" },
      "measure-ms": { type: "string" },
      "idle-max": { type: "string" },
      stalled: { type: "boolean", default: true },
      pin: { type: "boolean", default: true },
      report: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const measureMs = positive("measure-ms", values["measure-ms"], quick ? 200 : 1000);
  const targets = chosen("targets", values.targets, streamTargetNames);
  const idleMax =
    values["idle-max"] === "0" ? 0 : positive("idle-max", values["idle-max"], idleCounts.server);
  const plan: Plan = {
    targets,
    restTargets: targets.filter((name) => name === "mprpc" || (name === "grpc-js" && !quick)),
    rounds: positive("rounds", values.rounds, quick ? 1 : 3),
    window: { warmMs: Math.ceil(measureMs / 3), measureMs },
    idleMax,
    stalled: values.stalled,
    pin: values.pin,
    quick,
    jsonFile: values.json,
  };
  return { plan, reportFolder: values.report };
}

function medianOf(taken: readonly StreamMeasurement[]): StreamMeasurement {
  const of = (key: keyof StreamMeasurement) => median(taken.map((one) => one[key]));
  return {
    messagesPerSecond: of("messagesPerSecond"),
    cpuUsPerMessage: of("cpuUsPerMessage"),
    clientCpuUsPerMessage: of("clientCpuUsPerMessage"),
    serverCpuUsPerMessage: of("serverCpuUsPerMessage"),
  };
}

/** A quick run: when all rows are to be there, and when nothing more begins. */
const quickRowsMs = 30_000;
const quickEndMs = 44_000;
const shortestWindowMs = 20;

/** What is left of the time for `windows` more of them decides how long each is, on a machine that others use too. */
function windowOf({ quick, window }: Plan, startedMs: number, windows: number): StreamWindow {
  if (!quick) return window;
  const leftMs = startedMs + quickRowsMs - performance.now();
  // A third of a window before it, and as much again for starting and stopping.
  const measureMs = Math.max(shortestWindowMs, Math.min(window.measureMs, (leftMs / windows) * 0.6));
  return { warmMs: measureMs / 3, measureMs };
}

async function measureRows(plan: Plan, startedMs: number): Promise<StreamRow[]> {
  const { targets, rounds, pin } = plan;
  const cells = streamLoads.flatMap((load) =>
    targets.map((target) => ({ target, load, taken: [] as StreamMeasurement[] })),
  );
  const pairs = new Map<StreamTargetName, StreamPair>();
  let windows = streamLoads.length * rounds * targets.length;
  const measure = (target: StreamTargetName, load: StreamLoad) => {
    const window = windowOf(plan, startedMs, windows);
    windows -= 1;
    return pairs.get(target)?.measure(load, window);
  };
  try {
    for (const target of targets) pairs.set(target, await StreamPair.start(target, pin));
    for (const target of targets) {
      // Never shortened: figures of code that is not compiled yet are worth nothing.
      const warmUp = { ...plan.window, warmMs: plan.window.measureMs };
      for (const way of ways) {
        await pairs.get(target)?.measure({ ...way, payloadBytes: 64, streams: 4 }, warmUp);
      }
    }
    log(`${targets.join(", ")} are up and warm`);
    for (let round = 0; round < rounds; round += 1) {
      for (const load of streamLoads) {
        const turn = cells.filter((cell) => cell.load === load);
        for (const { target, taken } of rotated(turn, round)) {
          const measured = await measure(target, load);
          if (measured !== undefined) taken.push(measured);
        }
      }
      log(`round ${round + 1} of ${rounds}`);
    }
    await Promise.all([...pairs.values()].map((pair) => pair.close()));
  } finally {
    for (const pair of pairs.values()) pair.kill();
  }
  return cells.map(({ target, load, taken }) => ({ target, ...load, ...medianOf(taken) }));
}

async function measureAll(plan: Plan, startedMs: number): Promise<StreamResults> {
  const { restTargets, idleMax, pin } = plan;
  const rows = await measureRows(plan, startedMs);
  const idle: IdleStreamsRow[] = [];
  const stalled: StalledRow[] = [];
  const isLate = (what: string): boolean => {
    const late = plan.quick && performance.now() - startedMs > quickEndMs;
    if (late) log(`${what}: left out, as the time of a quick run is over`);
    return late;
  };
  for (const target of restTargets) {
    for (const kind of idleMax === 0 ? [] : (["bidi", "server"] as const)) {
      if (isLate(`idle ${kind} streams`)) continue;
      idle.push(await measureIdleStreams(target, kind, Math.min(idleCounts[kind], idleMax), pin));
    }
    if (!plan.stalled || isLate("a stalled stream")) continue;
    stalled.push(await measureStalled(target, plan.rounds * 2, plan.window, pin));
  }
  return { rows, idle, stalled };
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

/** The fields every reader of the JSON file can count on. */
function figures({ target, kind, payloadBytes, streams, outstanding, ...measured }: StreamRow) {
  return {
    target,
    kind,
    payloadBytes,
    streams,
    ...(outstanding === undefined ? {} : { outstanding }),
    messagesPerSecond: rounded(measured.messagesPerSecond, 1),
    cpuUsPerMessage: rounded(measured.cpuUsPerMessage, 4),
    clientCpuUsPerMessage: rounded(measured.clientCpuUsPerMessage, 4),
    serverCpuUsPerMessage: rounded(measured.serverCpuUsPerMessage, 4),
  };
}

function writeJson({ jsonFile, quick, rounds, window }: Plan, results: StreamResults): void {
  if (jsonFile === undefined) return;
  const rows = results.rows.map(figures);
  const full = () => ({
    date: new Date().toISOString(),
    node: process.version,
    cpu: `${os.cpus().length} x ${os.cpus()[0]?.model ?? "unknown"}`,
    rounds,
    ...window,
    ...results,
    rows,
  });
  mkdirSync(path.dirname(path.resolve(jsonFile)), { recursive: true });
  writeFileSync(jsonFile, `${JSON.stringify(quick ? rows : full(), null, 2)}\n`);
  log(`figures in ${jsonFile}`);
}

export const streams: Command = {
  usage,
  about: "messages of streams beside a raw echo and grpc-js, idle streams, a stalled one",
  parse(argv) {
    const parsed = parsePlan(argv);
    if (parsed === undefined) return undefined;
    const { plan, reportFolder } = parsed;
    const run = async (startedMs: number) => {
      const results = await measureAll(plan, startedMs);
      writeJson(plan, results);
      return streamsReport(results);
    };
    return { reportFolder, run };
  },
};
