import { parseArgs } from "node:util";
import { chosen, log, positive } from "../arguments.js";
import type { Command, Task } from "../command.js";
import { rotated } from "../rounds.js";
import { connectionsMax, tooManyText } from "./limits.js";
import { type ConnectionsMeasurement, type ConnectionsPlan, measureSize, processesFor } from "./measure.js";
import { connectionsReport, toRow } from "./report.js";

const registryKinds = ["static", "file"] as const;

const usage = `Usage: npm run bench -- connections [options]

1 to 10,000 client connections to one provider: calls/s, memory of each, how fast they are opened, and how they come back
when the provider is killed and started again on its port. About 4 minutes. Needs as many open files as connections.

  --sizes LIST       default 1,100,1000,10000
  --rounds N         default 3
  --processes N      processes the clients are spread over; default: one for each core
                     but the provider's, at most 4, and one for each 1,250 clients
  --in-flight N      calls in flight over all connections; default 256
  --measure-ms N     length of one window; default 1000
  --down-ms N        how long the provider is away when it is restarted; default 3000
  --registry KIND    static (default), or file: clients are told when the provider is there again; the report is then
                     connections-file
  --no-pin           let the system place the processes
  --report FOLDER    connections.json, connections.md and plots
  -h, --help
`;

async function run(plan: ConnectionsPlan) {
  const most = connectionsMax();
  const fits = plan.sizes.filter((size) => size <= most);
  const leftOut = plan.sizes.filter((size) => size > most).map((size) => tooManyText(size, most));
  for (const text of leftOut) log(text);
  const measured = new Map<number, ConnectionsMeasurement[]>(fits.map((size) => [size, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const size of rotated(fits, round)) {
      measured.get(size)?.push(await measureSize(size, plan));
      log(`round ${round + 1} of ${plan.rounds}: ${size} connections`);
    }
  }
  const rows = [...measured].map(([size, all]) => toRow(size, processesFor(size, plan), all));
  return connectionsReport(rows, plan, leftOut);
}

export const connections: Command = {
  usage,
  about: "1 to 10,000 connections to one provider, and what a restart of it makes of them",
  parse(argv): Task | undefined {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: {
        sizes: { type: "string", default: "1,100,1000,10000" },
        rounds: { type: "string" },
        processes: { type: "string" },
        "in-flight": { type: "string" },
        "measure-ms": { type: "string" },
        "down-ms": { type: "string" },
        registry: { type: "string", default: "static" },
        pin: { type: "boolean", default: true },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const measureMs = positive("measure-ms", values["measure-ms"], 1000);
    const plan = {
      sizes: values.sizes.split(",").map((text) => positive("sizes", text, 1)),
      rounds: positive("rounds", values.rounds, 3),
      processes: values.processes === undefined ? undefined : positive("processes", values.processes, 1),
      inFlight: positive("in-flight", values["in-flight"], 256),
      warmMs: Math.min(500, measureMs),
      measureMs,
      downMs: positive("down-ms", values["down-ms"], 3000),
      pin: values.pin,
      registry: chosen("registry", values.registry, registryKinds)[0] ?? "static",
    };
    return { reportFolder: values.report, run: () => run(plan) };
  },
};
