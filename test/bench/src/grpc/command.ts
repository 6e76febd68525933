import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { prepareCpp } from "../cpp.js";
import { Pair, type Window } from "../pair.js";
import { median } from "../report.js";
import { rotated } from "../rounds.js";
import { measureIdleStreams } from "../streams/held.js";
import { StreamPair } from "../streams/pair.js";
import type { TargetName } from "../target.js";
import { findH2load, H2loadPair } from "./h2load.js";
import { type GrpcIdle, type GrpcRow, grpcReport } from "./report.js";

const usage = `Usage: npm run bench -- grpc [options]

gRPC of mprpc beside @grpc/grpc-js, with callers and servers nobody here wrote: h2load and the C++ gRPC caller against either
provider, either caller against the C++ gRPC server, each to itself, a server stream of 64 B, and behind TLS. Alternating rounds, medians.
What is not installed (h2load: scripts/debian-packages.sh nghttp2-client) is left out and named.

  --quick            one round of short windows
  --json FILE        the figures
  --only LIST        of h2load, cpp-caller, cpp-server, both, tls, stream, idle; default: all
  --rounds N         default 3, with --quick 1
  --measure-ms N     length of one window; default 1500, with --quick 400
  --no-pin           let the system place the processes
  --report FOLDER    grpc.json and grpc.md
  -h, --help
`;

interface Plan {
  only: readonly string[];
  rounds: number;
  window: Window;
  pin: boolean;
  jsonFile: string | undefined;
}

/** What is measured side by side: one after the other in each round. */
interface Contest {
  part: string;
  inFlight: number;
  contestants: readonly string[];
  start(contestant: string): Promise<Contestant>;
}

interface Contestant {
  measure(): Promise<{ callsPerSecond: number; serverCpuUsPerCall: number; clientCpuUsPerCall: number }>;
  close(): Promise<void>;
}

function parsePlan(argv: readonly string[]): { plan: Plan; reportFolder: string | undefined } | undefined {
  const { values } = parseArgs({
    args: [...argv],
    allowNegative: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      only: { type: "string" },
      rounds: { type: "string" },
      "measure-ms": { type: "string" },
      pin: { type: "boolean", default: true },
      report: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const measureMs = positive("measure-ms", values["measure-ms"], quick ? 400 : 1500);
  const plan: Plan = {
    only: values.only?.split(",") ?? ["h2load", "cpp-caller", "cpp-server", "both", "tls", "stream", "idle"],
    rounds: positive("rounds", values.rounds, quick ? 1 : 3),
    window: { warmMs: Math.ceil(measureMs / 2), measureMs },
    pin: values.pin,
    jsonFile: values.json,
  };
  return { plan, reportFolder: values.report };
}

const payloadBytes = 20;

async function underH2load(target: TargetName, inFlight: number, { pin, window }: Plan): Promise<Contestant> {
  const pair = await H2loadPair.start(target, pin);
  const measure = async () => ({ clientCpuUsPerCall: Number.NaN, ...(await pair.measure(inFlight, window)) });
  return { measure, close: () => pair.close() };
}

async function pairOf(
  provider: TargetName,
  caller: TargetName,
  inFlight: number,
  { pin, window }: Plan,
): Promise<Contestant> {
  const pair = await Pair.start(provider, pin, caller);
  return { measure: () => pair.measure({ payloadBytes, inFlight }, window), close: () => pair.close() };
}

async function streamOf(
  name: "mprpc" | "mprpc-grpc" | "grpc-js",
  { pin, window }: Plan,
): Promise<Contestant> {
  const pair = await StreamPair.start(name, pin);
  const measure = async () => {
    const taken = await pair.measure({ kind: "server", payloadBytes: 64, streams: 1 }, window);
    return {
      callsPerSecond: taken.messagesPerSecond,
      serverCpuUsPerCall: taken.serverCpuUsPerMessage,
      clientCpuUsPerCall: taken.clientCpuUsPerMessage,
    };
  };
  return { measure, close: () => pair.close() };
}

function contestsOf(plan: Plan, cpp: boolean): Contest[] {
  const contests: Contest[] = [];
  const add = (part: string, inFlight: number, contestants: string[], start: Contest["start"]): void => {
    if (plan.only.includes(part)) contests.push({ part, inFlight, contestants, start });
  };
  const h2load = findH2load() !== undefined;
  for (const inFlight of h2load ? [16, 64, 256] : []) {
    add("h2load", inFlight, ["mprpc-grpc", "grpc-js"], (one) =>
      underH2load(one as TargetName, inFlight, plan),
    );
  }
  for (const inFlight of cpp ? [16, 64, 256] : []) {
    add("cpp-caller", inFlight, ["mprpc-grpc", "grpc-js"], (one) =>
      pairOf(one as TargetName, "grpc-cpp", inFlight, plan),
    );
    add("cpp-server", inFlight, ["mprpc-grpc", "grpc-js"], (one) =>
      pairOf("grpc-cpp", one as TargetName, inFlight, plan),
    );
  }
  for (const inFlight of [16, 64, 256]) {
    add("both", inFlight, ["mprpc-grpc-full", "grpc-js", "mprpc-full"], (one) =>
      pairOf(one as TargetName, one as TargetName, inFlight, plan),
    );
  }
  for (const inFlight of [16, 64, 256]) {
    add("tls", inFlight, ["mprpc-grpc", "mprpc-grpc-tls"], (one) =>
      pairOf(one as TargetName, one as TargetName, inFlight, plan),
    );
  }
  add("stream", 1, ["mprpc-grpc", "grpc-js", "mprpc"], (one) =>
    streamOf(one as "mprpc" | "mprpc-grpc" | "grpc-js", plan),
  );
  return contests;
}

async function measureContest(contest: Contest, rounds: number): Promise<GrpcRow[]> {
  const { part, inFlight, contestants, start } = contest;
  const running = new Map<string, Contestant>();
  const taken = new Map(contestants.map((one) => [one, [] as Awaited<ReturnType<Contestant["measure"]>>[]]));
  try {
    for (const one of contestants) running.set(one, await start(one));
    for (let round = 0; round < rounds; round += 1) {
      for (const one of rotated(contestants, round)) {
        const measured = await running.get(one)?.measure();
        if (measured !== undefined) taken.get(one)?.push(measured);
      }
    }
  } finally {
    for (const one of running.values()) await one.close();
  }
  return contestants.map((contestant) => {
    const all = taken.get(contestant) ?? [];
    const of = (key: keyof (typeof all)[number]) => median(all.map((one) => one[key]));
    return {
      ...{ part, inFlight, contestant },
      callsPerSecond: of("callsPerSecond"),
      serverCpuUsPerCall: of("serverCpuUsPerCall"),
      clientCpuUsPerCall: of("clientCpuUsPerCall"),
    };
  });
}

const idleConnections = 500;
const idleStreams = 4000;

/** What rests: a connection at the provider, and a stream on either side. */
async function measureIdle({ only, pin }: Plan): Promise<GrpcIdle[]> {
  const found: GrpcIdle[] = [];
  for (const contestant of only.includes("idle") ? (["mprpc-grpc", "grpc-js"] as const) : []) {
    const pair = await Pair.start(contestant, pin);
    const kibPerConnection = await pair.idleKibPerConnection(idleConnections).finally(() => pair.close());
    const { providerHeapBytes, providerRssBytes } = await measureIdleStreams(
      contestant,
      "bidi",
      idleStreams,
      pin,
    );
    const heapKibPerStream = providerHeapBytes / 1024;
    const residentKibPerStream = providerRssBytes / 1024;
    found.push({ contestant, kibPerConnection, heapKibPerStream, residentKibPerStream });
  }
  return found;
}

async function measureAll(plan: Plan): Promise<GrpcRow[]> {
  const why = plan.only.some((part) => part.startsWith("cpp"))
    ? prepareCpp({ fetch: false, env: process.env, log })
    : "not asked for";
  if (why !== undefined && why !== "not asked for") log(`left out: the C++ peers, since ${why}`);
  if (findH2load() === undefined) log("left out: h2load, which is not there (nghttp2-client)");
  const rows: GrpcRow[] = [];
  for (const contest of contestsOf(plan, why === undefined)) {
    rows.push(...(await measureContest(contest, plan.rounds)));
    log(`${contest.part}, ${contest.inFlight} in flight`);
  }
  return rows;
}

function writeJson(
  { jsonFile, rounds, window }: Plan,
  rows: readonly GrpcRow[],
  idle: readonly GrpcIdle[],
): void {
  if (jsonFile === undefined) return;
  const cpu = `${os.cpus().length} x ${os.cpus()[0]?.model ?? "unknown"}`;
  const figures = {
    date: new Date().toISOString(),
    node: process.version,
    cpu,
    rounds,
    ...window,
    rows,
    idle,
  };
  mkdirSync(path.dirname(path.resolve(jsonFile)), { recursive: true });
  writeFileSync(jsonFile, `${JSON.stringify(figures, null, 2)}\n`);
  log(`figures in ${jsonFile}`);
}

export const grpc: Command = {
  usage,
  about: "gRPC beside @grpc/grpc-js: h2load, the C++ caller and server, each to itself",
  parse(argv) {
    const parsed = parsePlan(argv);
    if (parsed === undefined) return undefined;
    const { plan, reportFolder } = parsed;
    const run = async () => {
      const rows = await measureAll(plan);
      const idle = await measureIdle(plan);
      writeJson(plan, rows, idle);
      return grpcReport(rows, idle);
    };
    return { reportFolder, run };
  },
};
