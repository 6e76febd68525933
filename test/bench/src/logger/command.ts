import { parseArgs } from "node:util";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { type Data, dataReport } from "../report/data.js";
import type { CallsPlan } from "./calls.js";

const usage = `Usage: npm run bench -- logger [options]

Measures calls between two processes with each call logged and not, with listeners to its events and without; log lines
beside bare pino; and counts what is in the file after a process ended right behind its last log call. Under two minutes.

  --rounds N         default 5
  --measure-ms N     length of one window of calls; default 1000
  --bursts N         bursts of 100 log lines in one round; default 300
  --lines N          lines logged before a process ends; default 20000
  --json FILE        the figures
  --report FOLDER    logger.json and logger.md
  -h, --help
`;

export interface LoggerPlan extends CallsPlan {
  /** Bursts of log lines in one round of the throughput. */
  bursts: number;
  /** Lines logged before a process ends. */
  lines: number;
}

/** What logging costs a call and a thread, and what an end loses. */
export async function runLogger(
  plan: LoggerPlan,
  progress: (text: string) => void = () => {},
): Promise<Data[]> {
  // They import pino, which the list of the commands does without: it may be about to be installed.
  const { exitTable } = await import("./exits.js");
  const { throughputTable } = await import("./throughput.js");
  const { callsTables } = await import("./calls.js");
  progress("ends of processes");
  const exits = await exitTable(plan.lines);
  progress("log lines");
  const throughput = await throughputTable(plan.rounds, plan.bursts);
  progress("calls");
  return [...(await callsTables(plan)), throughput, exits];
}

export const logger: Command = {
  usage,
  about: "what logging and listening to each call costs, beside pino, and what an end loses",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rounds: { type: "string" },
        "measure-ms": { type: "string" },
        bursts: { type: "string" },
        lines: { type: "string" },
        json: { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const { json } = values;
    const plan = {
      rounds: positive("rounds", values.rounds, 5),
      window: { warmMs: 500, measureMs: positive("measure-ms", values["measure-ms"], 1000) },
      inFlight: [1, 16, 256],
      pin: true,
      bursts: positive("bursts", values.bursts, 300),
      lines: positive("lines", values.lines, 20_000),
    };
    return {
      reportFolder: values.report,
      async run() {
        const data = await runLogger(plan, (text) => log(`logger: ${text}`));
        return dataReport("logger", "Logging", data, json);
      },
    };
  },
};
