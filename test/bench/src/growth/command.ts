import { parseArgs } from "node:util";
import { chosen, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { growthAxes } from "./axes.js";
import { measureAxis } from "./measure.js";
import { growthReport } from "./report.js";

const names = growthAxes.map(({ name }) => name);

const usage = `Usage: npm run bench -- growth [options]

What a call costs, in calls/s and in CPU time of each side, as one thing after the other grows while all else stays small.
Two processes with a core each; medians of rounds that take all steps of an axis in turn. About 8 minutes.

  --only LIST        of ${names.join(", ")}; default: all
  --max N            leaves out steps above N
  --rounds N         default 3
  --measure-ms N     length of one window; default 1000
  --no-pin           let the system place the processes
  --report FOLDER    growth.json, growth.md and a plot for each axis
  -h, --help
`;

export const growth: Command = {
  usage,
  about: "cost of a call as services, endpoints, calls in flight, payload ... grow",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: {
        only: { type: "string" },
        max: { type: "string" },
        rounds: { type: "string" },
        "measure-ms": { type: "string" },
        pin: { type: "boolean", default: true },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const wanted = chosen("only", values.only, names);
    const most = positive("max", values.max, Number.MAX_SAFE_INTEGER);
    const axes = growthAxes
      .filter(({ name }) => wanted.includes(name))
      .map((axis) => ({ ...axis, values: axis.values.filter((value) => value <= most) }));
    const measureMs = positive("measure-ms", values["measure-ms"], 1000);
    const plan = {
      rounds: positive("rounds", values.rounds, 3),
      warmUp: { warmMs: 1.5 * measureMs, measureMs: measureMs / 10 },
      window: { warmMs: 0.3 * measureMs, measureMs, callsMin: 16 },
      pin: values.pin,
    };
    return {
      reportFolder: values.report,
      async run() {
        const rows = [];
        for (const axis of axes) rows.push(...(await measureAxis(axis, plan)));
        return growthReport(axes, rows);
      },
    };
  },
};
