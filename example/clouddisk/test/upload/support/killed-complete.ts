// A complete in a process of its own that is killed at a step: the step, user and upload, then the arguments of a node.
import { startNode } from "../../../src/common/node.js";
import { Staging } from "../../../src/common/staging.js";
import { DownloadServiceStub } from "../../../src/download/gen/download.js";
import { DatabaseProgress } from "../../../src/progress/database-progress.js";
import { Completer } from "../../../src/upload/complete.js";

const [interpreter = "", script = "", lastStep = "", userId = "", uploadId = "", ...rest] = process.argv;
const { host, app } = await startNode({ services: [], argv: [interpreter, script, ...rest] });
const completer = new Completer({
  host,
  staging: new Staging(host.settings.dataFolder),
  progress: new DatabaseProgress(host.database),
  download: new DownloadServiceStub(host.channel),
  log: app.log,
  submit: () => {},
  onStep: async (step) => {
    if (step !== lastStep) return;
    process.kill(process.pid, "SIGKILL");
    // The signal ends it before anything else of it runs.
    await new Promise(() => {});
  },
});
await completer.complete(Number(userId), uploadId);
