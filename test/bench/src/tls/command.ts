import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { Pair, type Window } from "../pair.js";
import { type Report, short } from "../report/write.js";
import { median } from "../report.js";
import { measureHandshakes } from "./handshakes.js";

const usage = `Usage: npm run bench -- tls [options]

Calls over TLS beside the same calls in clear, in short alternating pairs: the ratio of calls per second, with the interval in
which its median is at 95 %. Then handshakes, full and resumed, and the memory of idle connections, beside bare node:tls.

  --pairs N          of each load; default 20
  --measure-ms N     length of one window; default 400
  --idle N           idle connections; default 500; 0: none
  --no-pin           let the system place the processes
  --json FILE        the figures
  --report FOLDER    tls.json and tls.md
  -h, --help
`;

interface Plan {
  pairs: number;
  window: Window;
  idle: number;
  pin: boolean;
  jsonFile: string | undefined;
}

const inFlights = [1, 16, 64, 256] as const;
/** What TLS must leave of the calls in clear. */
const goals: ReadonlyMap<number, number> = new Map([
  [64, 0.7],
  [256, 0.55],
]);
/** What a connection may take at rest beyond a bare TLS socket, KiB. */
const idleGoalKib = 5;

interface Row {
  inFlight: number;
  clear: number;
  tls: number;
  ratios: number[];
  medianRatio: number;
  /** Of the median, at 95 %. */
  interval: readonly [number, number];
}

/** Where the median lies at 95 %: the order statistics that a sign test does not rule out. */
export function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const rank = Math.max(0, Math.floor((n - 1.96 * Math.sqrt(n)) / 2));
  return [sorted[rank] ?? Number.NaN, sorted[n - 1 - rank] ?? Number.NaN];
}

async function measureRow(clear: Pair, secured: Pair, inFlight: number, plan: Plan): Promise<Row> {
  const load = { payloadBytes: 20, inFlight };
  const taken = { clear: [] as number[], tls: [] as number[] };
  for (let pair = 0; pair < plan.pairs; pair += 1) {
    const measure = async (name: "clear" | "tls", one: Pair): Promise<void> => {
      taken[name].push((await one.measure(load, plan.window)).callsPerSecond);
    };
    // Each is the first as often as the other.
    if (pair % 2 === 0) await measure("clear", clear);
    await measure("tls", secured);
    if (pair % 2 === 1) await measure("clear", clear);
  }
  const ratios = taken.tls.map((rate, at) => rate / (taken.clear[at] ?? Number.NaN));
  return {
    inFlight,
    clear: median(taken.clear),
    tls: median(taken.tls),
    ratios,
    medianRatio: median(ratios),
    interval: medianInterval(ratios),
  };
}

async function withPair<T>(
  target: "mprpc" | "mprpc-tls" | "raw-tls",
  pin: boolean,
  use: (pair: Pair) => Promise<T>,
): Promise<T> {
  const pair = await Pair.start(target, pin);
  try {
    return await use(pair);
  } finally {
    await pair.close();
  }
}

async function measure(plan: Plan): Promise<Report> {
  const rows = await withPair("mprpc", plan.pin, (clear) =>
    withPair("mprpc-tls", plan.pin, async (secured) => {
      const all: Row[] = [];
      for (const inFlight of inFlights) {
        log(`${plan.pairs} pairs, ${inFlight} in flight`);
        all.push(await measureRow(clear, secured, inFlight, plan));
      }
      return all;
    }),
  );
  const idle = { mprpc: Number.NaN, bare: Number.NaN };
  if (plan.idle > 0) {
    log(`${plan.idle} idle connections`);
    idle.bare = await withPair("raw-tls", plan.pin, (pair) => pair.idleKibPerConnection(plan.idle));
    idle.mprpc = await withPair("mprpc-tls", plan.pin, (pair) => pair.idleKibPerConnection(plan.idle));
  }
  log("handshakes");
  const handshakes = await measureHandshakes(plan.pin, plan.window);
  return {
    command: "tls",
    title: "TLS beside bytes in clear",
    results: { rows, handshakes, idle },
    sections: [
      {
        title: "Calls per second, 20 B",
        text: [
          "The cipher is TLS_AES_256_GCM_SHA384, which Node.js prefers; the ratio is the median of the pairs.",
        ],
        tables: [
          {
            head: ["in flight", "clear", "TLS", "ratio", "95 % interval", "goal"],
            lines: rows.map((row) => [
              String(row.inFlight),
              short(row.clear),
              short(row.tls),
              short(row.medianRatio),
              row.interval.map(short).join(" to "),
              goals.has(row.inFlight) ? `>= ${goals.get(row.inFlight)}` : "-",
            ]),
          },
        ],
        plots: [],
      },
      {
        title: "Handshakes",
        text: [
          "ECDSA P-256. The client, which is the same for both, takes part in the time and not in the CPU.",
        ],
        tables: [
          {
            head: ["handshakes", "server", "a second", "server's CPU, µs"],
            lines: handshakes.map((one) => [
              ...[one.kind, one.target, short(one.handshakesPerSecond), short(one.cpuUsPerHandshake)],
            ]),
          },
        ],
        plots: [],
      },
      {
        title: "Resident memory of an idle connection at the provider",
        text: [`The goal is a bare TLS socket and ${idleGoalKib} KiB.`],
        tables: [
          {
            head: ["mprpc over TLS, KiB", "bare TLS socket, KiB"],
            lines: [[short(idle.mprpc), short(idle.bare)]],
          },
        ],
        plots: [],
      },
    ],
  };
}

export const tls: Command = {
  usage,
  about: "calls over TLS beside calls in clear; handshakes and idle connections beside bare node:tls",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: {
        pairs: { type: "string" },
        "measure-ms": { type: "string" },
        idle: { type: "string" },
        pin: { type: "boolean", default: true },
        json: { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const measureMs = positive("measure-ms", values["measure-ms"], 400);
    const plan: Plan = {
      pairs: positive("pairs", values.pairs, 20),
      window: { warmMs: Math.ceil(measureMs / 3), measureMs },
      idle: values.idle === "0" ? 0 : positive("idle", values.idle, 500),
      pin: values.pin,
      jsonFile: values.json,
    };
    return {
      reportFolder: values.report,
      async run() {
        const report = await measure(plan);
        if (plan.jsonFile !== undefined)
          writeFileSync(plan.jsonFile, JSON.stringify(report.results, null, 2));
        return report;
      },
    };
  },
};
