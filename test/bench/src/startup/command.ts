import { parseArgs } from "node:util";
import { chosen, log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { type InstallSize, installSize } from "./install.js";
import { measureStarts } from "./measure.js";
import { startTargets } from "./protocol.js";
import { startupReport } from "./report.js";

const usage = `Usage: npm run bench -- startup [options]

What a program pays to start: import in ms and memory, a provider until it listens, the first call and the tenth; and what
npm installs. Fresh processes, beside @grpc/grpc-js with @grpc/proto-loader. Under a minute.

  --targets LIST     of ${startTargets.join(", ")}; default: both
  --runs N           default 9
  --no-install       leave out the size, which takes packages from npm's registry
  --report FOLDER    startup.json, startup.md and a plot
  -h, --help
`;

export const startup: Command = {
  usage,
  about: "import, provider ready, first call, install size",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      allowNegative: true,
      options: {
        targets: { type: "string" },
        runs: { type: "string" },
        install: { type: "boolean", default: true },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const targets = chosen("targets", values.targets, startTargets);
    const runs = positive("runs", values.runs, 9);
    return {
      reportFolder: values.report,
      async run() {
        const starts = await measureStarts(targets, runs);
        log(`${runs} fresh processes of each`);
        const installs: InstallSize[] = [];
        for (const target of values.install ? targets : []) installs.push(await installSize(target));
        return startupReport(starts, installs);
      },
    };
  },
};
