import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Counts, type Measurement, Pair, type Window } from "../pair.js";
import type { Data } from "../report/data.js";
import { medianOf } from "../report.js";
import type { observedNames } from "../target.js";
import { lineText } from "./subjects.js";

interface Variant {
  target: "mprpc" | (typeof observedNames)[number];
  title: string;
}

const allVariants: readonly Variant[] = [
  { target: "mprpc", title: "nothing listens" },
  { target: "mprpc-events", title: "events counted" },
  { target: "mprpc-log-off", title: "each call logged, level off" },
  { target: "mprpc-log", title: "each call logged" },
];

export interface CallsPlan {
  rounds: number;
  window: Window;
  inFlight: readonly number[];
  /** Give each process a core of its own. */
  pin: boolean;
  /** Only these; all of them when left out. The first is what the others are compared with. */
  targets?: readonly Variant["target"][];
}

/** Lines of calls that are in the file, and how many more the log itself says it dropped. */
function countLines(file: string): { written: number; dropped: number } {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const dropped = lines.map((line) => Number(/dropped=(\d+)/.exec(line)?.[1] ?? 0));
  return {
    written: lines.filter((line) => line.includes(lineText)).length,
    dropped: dropped.reduce((sum, count) => sum + count, 0),
  };
}

/** Both processes of a variant, with a folder for what they log. */
async function startVariant({ target }: Variant, folder: string, pin: boolean): Promise<Pair> {
  mkdirSync(folder);
  process.env.MPRPC_BENCH_LOGS = folder;
  try {
    return await Pair.start(target, pin);
  } finally {
    delete process.env.MPRPC_BENCH_LOGS;
  }
}

interface Cell {
  variant: Variant;
  inFlight: number;
  measurements: Measurement[];
  /** Of all rounds. */
  counts: Counts;
}

async function measureCells(plan: CallsPlan, pairs: ReadonlyMap<Variant, Pair>): Promise<Cell[]> {
  const cells = plan.inFlight.flatMap((inFlight) =>
    [...pairs.keys()].map(
      (variant): Cell => ({
        variant,
        inFlight,
        measurements: [],
        counts: { made: 0, served: 0 },
      }),
    ),
  );
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const { variant, inFlight, measurements, counts } of cells) {
      const pair = pairs.get(variant);
      if (pair === undefined) continue;
      const { made, served, ...measurement } = await pair.measure(
        { payloadBytes: 20, inFlight },
        plan.window,
      );
      measurements.push(measurement);
      counts.made += made;
      counts.served += served;
    }
  }
  return cells;
}

function costTable(cells: readonly Cell[]): Data {
  const rows = cells.map(({ variant, inFlight, measurements }) => {
    const own = medianOf(measurements);
    const bare = cells.find((cell) => cell.inFlight === inFlight)?.measurements ?? [];
    const base = medianOf(bare);
    return [
      variant.title,
      inFlight,
      own.callsPerSecond,
      own.clientCpuUsPerCall,
      own.serverCpuUsPerCall,
      own.clientCpuUsPerCall - base.clientCpuUsPerCall,
      own.serverCpuUsPerCall - base.serverCpuUsPerCall,
    ];
  });
  const title =
    "Calls of 20 B, watched and logged on both sides; CPU of all threads, the log's writer included";
  const columns = [
    "",
    "in flight",
    "calls/s",
    "client µs/call",
    "server µs/call",
    "+ client µs",
    "+ server µs",
  ];
  return { title, columns, rows };
}

function linesTable(folder: string, cells: readonly Cell[]): Data {
  const logged = cells.filter(({ variant }) => variant.target === "mprpc-log");
  const sides = { caller: "made", provider: "served" } as const;
  const rows = Object.entries(sides).map(([side, count]) => {
    const calls = logged.reduce((sum, { counts }) => sum + counts[count], 0);
    const { written, dropped } = countLines(path.join(folder, "mprpc-log", `${side}.log`));
    return [side, calls, written, dropped, calls - written - dropped];
  });
  return {
    title: "Lines of the calls above; the default of a full queue is to drop its oldest line",
    columns: ["side", "calls", "lines in the file", "dropped, as the file says", "lost"],
    rows,
  };
}

/** What listening to each call and logging it costs both sides, and what became of the lines. */
export async function callsTables(plan: CallsPlan): Promise<Data[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-calls-"));
  const pairs = new Map<Variant, Pair>();
  try {
    for (const variant of allVariants) {
      if (plan.targets?.includes(variant.target) === false) continue;
      pairs.set(variant, await startVariant(variant, path.join(folder, variant.target), plan.pin));
    }
    const cells = await measureCells(plan, pairs);
    // Only a log that was closed has all its lines in its file.
    for (const pair of pairs.values()) await pair.close();
    return [costTable(cells), linesTable(folder, cells)];
  } finally {
    for (const pair of pairs.values()) pair.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
