import { answer } from "../common/answer.js";
import { entryAddress } from "../common/entry-address.js";
import { NodeAnnouncement } from "../common/nodes.js";
import type { CreatePart } from "../common/part.js";
import { Schedule } from "../common/schedule.js";
import { Staging } from "../common/staging.js";
import { Tickets } from "../common/tickets.js";
import { tracedLogger } from "../common/trace.js";
import { DownloadServiceStub } from "../download/gen/download.js";
import { openProgress } from "../progress/progress.js";
import { TransferServiceStub } from "../transfer/gen/transfer.js";
import { cleanUploads, removeGoneTemps } from "./clean.js";
import type { UploadContext } from "./context.js";
import { UploadService } from "./gen/upload.js";
import { addUploadRoutes } from "./routes.js";

/** A nudge is worth no longer wait: transfer looks by itself. */
const submitTimeoutMs = 2_000;
/** One nudge tells of all that was uploaded meanwhile. */
const submitDelayMs = 20;

/** Calls `work` so long after the first of any number of calls. */
function once(delayMs: number, work: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    const begin = (): void => {
      called = false;
      work();
    };
    setTimeout(begin, delayMs).unref();
  };
}

/** Takes files in, whole and in parts. */
export const createUpload: CreatePart = async (host) => {
  const { settings, database, channel, instance } = host;
  const log = tracedLogger(host.app.log, "upload");
  const transfer = new TransferServiceStub(channel);
  const submit = (): void => {
    transfer.submit({}, { timeoutMs: submitTimeoutMs, waitForReady: false }).catch((error: unknown) => {
      log.debug("transfer was not told", { error: String(error) });
    });
  };
  const context: UploadContext = {
    host,
    staging: new Staging(settings.dataFolder),
    progress: await openProgress(settings, database),
    download: new DownloadServiceStub(channel),
    log,
    // With a broker dbproxy has told transfer already.
    submit: host.events === undefined ? once(submitDelayMs, submit) : () => {},
  };
  const tickets = new Tickets(database, settings.secret);
  const entry = entryAddress(host, "upload");
  const announcement = new NodeAnnouncement(host, "upload", entry, log);
  const schedule = new Schedule(database, instance, log);
  // Each node has its own files, so each has its own turn.
  schedule.add(`uploads@${settings.node}`, settings.transfer.cleanIntervalMs, (signal) =>
    cleanUploads(context, signal),
  );
  return {
    name: "upload",
    log,
    notify(provider) {
      provider.notifyService(UploadService, {
        uploadEntry: ({ userId, username, session }) =>
          answer(async () => {
            const expiresAtMs = Date.now() + settings.upload.ticketTtlMs;
            const ticket = await tickets.sign({
              kind: "upload",
              userId: Number(userId),
              username,
              expiresAtMs,
              session,
            });
            return { entry: entry.url(), ticket, expiresAtMs };
          }),
      });
    },
    async routes(http) {
      entry.servedBy(http);
      await addUploadRoutes(http, context);
    },
    async start() {
      announcement.start();
      await removeGoneTemps(context);
      schedule.start();
      context.progress.list("0".repeat(32)).catch((error: unknown) => {
        log.warn(`the parts received cannot be noted ([progress] url): ${String(error)}`);
      });
    },
    async stop() {
      await announcement.stop();
      await schedule.stop();
      await context.progress.close();
    },
  };
};
