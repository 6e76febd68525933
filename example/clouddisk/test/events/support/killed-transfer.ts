// A process of transfer that is killed at a step of the first job it is handed: the step, then the arguments of a node.
import { startNode } from "../../../src/common/node.js";
import { Staging } from "../../../src/common/staging.js";
import { openStore } from "../../../src/store/index.js";
import { StagedFiles } from "../../../src/transfer/staged.js";
import { Transfer } from "../../../src/transfer/transfer.js";

const [interpreter = "", script = "", lastStep = "", ...rest] = process.argv;
const node = await startNode({ services: [], argv: [interpreter, script, ...rest] });
const { settings, database, instance, events } = node.host;
const context = {
  database,
  store: await openStore(settings),
  staged: new StagedFiles(new Staging(settings.dataFolder)),
  log: node.app.log,
  node: settings.node,
  instance,
  settings: settings.transfer,
  onStep: async (step: string) => {
    if (step !== lastStep) return;
    process.kill(process.pid, "SIGKILL");
    // The signal ends it before anything else of it runs.
    await new Promise(() => {});
  },
};
new Transfer(context, { sweepMs: settings.sweepMs }, events).start();
