import { startNode } from "../../../src/common/node.js";
import { Staging } from "../../../src/common/staging.js";
import { openStore } from "../../../src/store/index.js";
import { StagedFiles } from "../../../src/transfer/staged.js";

/** A node with the arguments of this process behind the first, which is the step of a job at which it is killed. */
export async function nodeKilledAtStep() {
  const [interpreter = "", script = "", lastStep = "", ...rest] = process.argv;
  const { app, host } = await startNode({ services: [], argv: [interpreter, script, ...rest] });
  const { settings, database, instance } = host;
  const context = {
    ...{ database, instance, log: app.log, node: settings.node, settings: settings.transfer },
    store: await openStore(settings),
    staged: new StagedFiles(new Staging(settings.dataFolder)),
    onStep: async (step: string) => {
      if (step !== lastStep) return;
      process.kill(process.pid, "SIGKILL");
      // The signal ends it before anything else of it runs.
      await new Promise(() => {});
    },
  };
  return { host, context };
}
