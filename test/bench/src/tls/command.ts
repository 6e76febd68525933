import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { measurePairs, type PairsPlan, pairsOptions, pairsTable, planOf, withPair } from "../pairs.js";
import { type Report, short } from "../report/write.js";
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

interface Plan extends PairsPlan {
  idle: number;
  jsonFile: string | undefined;
}

/** What TLS must leave of the calls in clear. */
const goals: ReadonlyMap<number, number> = new Map([
  [64, 0.7],
  [256, 0.55],
]);
/** What a connection may take at rest beyond a bare TLS socket, KiB. */
const idleGoalKib = 5;

async function measure(plan: Plan): Promise<Report> {
  const rows = await measurePairs("mprpc", "mprpc-tls", plan);
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
          pairsTable(["clear", "TLS"], rows, (inFlight) => {
            const goal = goals.get(inFlight);
            return goal === undefined ? "-" : `>= ${goal}`;
          }),
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
      options: { ...pairsOptions, idle: { type: "string" }, json: { type: "string" } },
    });
    if (values.help) return undefined;
    const plan: Plan = {
      ...planOf(values),
      idle: values.idle === "0" ? 0 : positive("idle", values.idle, 500),
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
