// A transfer worker in a process of its own that is killed at a step: the step, then the arguments of a node.
import { startNode } from "../../../src/common/node.js";
import { Staging } from "../../../src/common/staging.js";
import { openStore } from "../../../src/store/index.js";
import { StagedFiles } from "../../../src/transfer/staged.js";
import { Worker } from "../../../src/transfer/worker.js";

const [interpreter = "", script = "", lastStep = "", ...rest] = process.argv;
const node = await startNode({ services: [], argv: [interpreter, script, ...rest] });
const { settings, database, instance } = node.host;
const worker = new Worker(
  {
    database,
    store: await openStore(settings),
    staged: new StagedFiles(new Staging(settings.dataFolder)),
    log: node.app.log,
    node: settings.node,
    instance,
    settings: settings.transfer,
    onStep: async (step) => {
      if (step !== lastStep) return;
      process.kill(process.pid, "SIGKILL");
      // The signal ends it before anything else of it runs.
      await new Promise(() => {});
    },
  },
  { leaseMs: 500 },
);
worker.start();
