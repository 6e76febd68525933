import type { CreatePart } from "../common/part.js";
import { Staging } from "../common/staging.js";
import { tracedLogger } from "../common/trace.js";
import { openStore } from "../store/index.js";
import type { TransferContext } from "./context.js";
import { TransferService } from "./gen/transfer.js";
import { StagedFiles } from "./staged.js";
import { Transfer } from "./transfer.js";

/** Brings contents into the store and out of it, and looks after what is there. */
export const createTransfer: CreatePart = async (host) => {
  const { settings, database, instance } = host;
  const log = tracedLogger(host.app.log, "transfer");
  const context: TransferContext = {
    database,
    store: await openStore(settings),
    staged: new StagedFiles(new Staging(settings.dataFolder)),
    log,
    node: settings.node,
    instance,
    settings: settings.transfer,
  };
  const transfer = new Transfer(context, { sweepMs: settings.sweepMs }, host.events);
  return {
    name: "transfer",
    log,
    notify(provider) {
      provider.notifyService(TransferService, transfer.handlers());
    },
    async start() {
      transfer.start();
    },
    stop: () => transfer.stop(),
  };
};
