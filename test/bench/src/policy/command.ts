import { parseArgs } from "node:util";
import type { Command } from "../command.js";
import { measurePairs, type PairsPlan, pairsOptions, pairsTable, planOf } from "../pairs.js";
import type { Report } from "../report/write.js";

const usage = `Usage: npm run bench -- policy [options]

Calls of a caller with an identity (TLS by a shared secret), judged by a policy, beside the same calls without a policy, in short alternating
pairs: the ratio of calls per second, with the interval in which its median is at 95 %.

  --pairs N          of each load; default 20
  --measure-ms N     length of one window; default 400
  --no-pin           let the system place the processes
  --report FOLDER    policy.json and policy.md
  -h, --help
`;

async function measure(plan: PairsPlan): Promise<Report> {
  const rows = await measurePairs("mprpc-secret", "mprpc-policy", plan);
  return {
    command: "policy",
    title: "A policy beside none",
    results: { rows },
    sections: [
      {
        title: "Calls per second, 20 B",
        text: ["Three rules; the most specific one decides. The interval should include 1."],
        tables: [pairsTable(["no policy", "policy"], rows, () => "1")],
        plots: [],
      },
    ],
  };
}

export const policy: Command = {
  usage,
  about: "calls judged by a policy beside calls without one",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: pairsOptions,
    });
    if (values.help) return undefined;
    return { reportFolder: values.report, run: () => measure(planOf(values)) };
  },
};
