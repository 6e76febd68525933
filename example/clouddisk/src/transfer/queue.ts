import { PoisonMessage } from "mprpc/broker";
import type { DiskEvents, Listening } from "../events/disk-events.js";
import type { JobDue } from "../events/gen/events.js";
import { deleteDue, putDue } from "../events/topics.js";
import { Hopeless, type TransferContext } from "./context.js";
import { isHash } from "./hash.js";
import type { Worker } from "./worker.js";

const group = "transfer";
/**
 * A message that was tried so often is a dead letter, for people to look at. Its job stays in the outbox, where it is tried again as long as there is
 * hope.
 */
const attemptsMax = 10;
/** The shortest that a broker takes. */
const ackWaitMinMs = 1_000;

/**
 * Has the worker do the jobs that a broker hands out. The outbox stays the truth: a job done before is not done again, and one that the broker has lost
 * is found by the worker itself.
 */
export class JobQueue {
  readonly #context: TransferContext;
  readonly #events: DiskEvents;
  readonly #worker: Worker;
  readonly #stopGraceMs: number;
  #listening: Listening[] = [];

  /** `stopGraceMs`: what is being stored when the queue is stopped has this long to end. */
  constructor(context: TransferContext, events: DiskEvents, worker: Worker, stopGraceMs: number) {
    this.#context = context;
    this.#events = events;
    this.#worker = worker;
    this.#stopGraceMs = stopGraceMs;
  }

  start(): void {
    const { concurrency, leaseMs, retryMinMs, retryMaxMs } = this.#context.settings;
    const ackWaitMs = Math.max(ackWaitMinMs, leaseMs);
    const retry = {
      initialMs: Math.min(retryMinMs, ackWaitMs),
      maxMs: Math.min(retryMaxMs, ackWaitMs),
      jitter: 0.5,
    };
    const options = { group, concurrency, ackWaitMs, maxAttempts: attemptsMax, retry };
    const topics = [putDue(this.#context.node), deleteDue];
    let arriving = 0;
    const onUp = (up: boolean): void => {
      arriving += up ? 1 : -1;
      this.#worker.handedOut = arriving === topics.length;
    };
    this.#listening = topics.map((topic) =>
      this.#events.listen(topic, options, (job, { signal }) => this.#perform(job, signal), onUp),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#listening.map((one) => one.stop(this.#stopGraceMs)));
  }

  async #perform({ fileHash }: JobDue, signal: AbortSignal): Promise<void> {
    if (!isHash(fileHash)) throw new PoisonMessage("file_hash is not a SHA-256 of 64 lower-case hex digits");
    try {
      await this.#worker.perform(fileHash, signal);
    } catch (error) {
      throw error instanceof Hopeless ? new PoisonMessage(error.message, { cause: error }) : error;
    }
  }
}
