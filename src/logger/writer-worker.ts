import { parentPort, workerData } from "node:worker_threads";
import { BatchWriter, blockedRetryMs } from "./batch-writer.js";
import { createDestination, type DestinationOptions } from "./destination.js";
import { Mailbox } from "./mailbox.js";

/** What the logging thread hands to its worker. */
export interface WorkerOptions {
  memory: SharedArrayBuffer;
  destination: DestinationOptions;
  retryMs: number;
}

function serve({ memory, destination, retryMs }: WorkerOptions): void {
  const mailbox = new Mailbox(memory);
  const writer = new BatchWriter(mailbox, createDestination(destination), 0);
  for (;;) {
    // Read before looking, so that what is posted meanwhile is not slept over.
    const seen = mailbox.signalled;
    if (!mailbox.acquire()) return;
    const result = writer.step();
    if (result === "failed") mailbox.setAttempted(seen);
    mailbox.release();
    const news = result === "written" || result === "failed";
    if (news && mailbox.takeReplyRequest()) parentPort?.postMessage(null);
    if (result === "idle") mailbox.awaitSignal(seen);
    else if (result === "blocked") mailbox.awaitSignal(seen, blockedRetryMs);
    else if (result === "failed") mailbox.awaitSignal(seen, retryMs);
  }
}

serve(workerData as WorkerOptions);
