import type { OutboxJob } from "../dbproxy/actions.js";
import { Hopeless, type TransferContext } from "./context.js";
import { doJob } from "./jobs.js";
import { JobLease } from "./lease.js";

export interface WorkerOptions {
  /** A job is another worker's when this one was silent for so long. Default: what the settings say. */
  leaseMs: number;
  /** The outbox is looked at after this long, twice as long when it was empty, and so on. */
  pollMinMs: number;
  pollMaxMs: number;
  /** What is being stored when the worker is stopped has this long to end; then it is left to the next one. */
  stopGraceMs: number;
}

export const workerDefaults: Omit<WorkerOptions, "leaseMs"> = {
  pollMinMs: 100,
  pollMaxMs: 3_000,
  stopGraceMs: 5_000,
};

/** The error of a job is kept in the database; more than this is not read by anybody. */
const errorMaxChars = 1_000;
/** A stop does not wait long for a database that is gone. */
const reportTimeoutMs = 3_000;

/** Does the jobs of the outbox, several at once. Any number of workers, in any number of processes, may. */
export class Worker {
  readonly #context: TransferContext;
  readonly #options: WorkerOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #abandon = new AbortController();
  #loop: Promise<void> | undefined;
  #wakeUp: () => void = () => {};
  #woken = false;
  #away = false;

  constructor(context: TransferContext, options: Partial<WorkerOptions> = {}) {
    this.#context = context;
    this.#options = { ...workerDefaults, leaseMs: context.settings.leaseMs, ...options };
  }

  start(): void {
    this.#loop ??= this.#work();
  }

  /** Has the outbox looked at now. */
  wake(): void {
    this.#woken = true;
    this.#wakeUp();
  }

  /** Takes no more jobs, and waits for those under way, in the end by giving them back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp();
    const grace = setTimeout(
      () => this.#abandon.abort(new Error("the worker is stopping")),
      this.#options.stopGraceMs,
    );
    await this.#loop;
    await Promise.all(this.#running);
    clearTimeout(grace);
  }

  async #work(): Promise<void> {
    const { pollMinMs, pollMaxMs } = this.#options;
    let pauseMs = pollMinMs;
    while (!this.#stopping.signal.aborted) {
      this.#woken = false;
      const free = this.#context.settings.concurrency - this.#running.size;
      const jobs = free > 0 ? await this.#claim(free) : [];
      for (const { job, askedAtMs } of jobs) this.#begin(job, askedAtMs);
      if (jobs.length > 0) pauseMs = pollMinMs;
      // With every place taken the end of a job wakes; with some free there may be no more work.
      if (jobs.length === free && free > 0) continue;
      if (await this.#pause(pauseMs)) pauseMs = pollMinMs;
      else pauseMs = Math.min(pollMaxMs, pauseMs * 2);
    }
  }

  async #claim(limit: number): Promise<Array<{ job: OutboxJob; askedAtMs: number }>> {
    const { database, node, instance, log } = this.#context;
    const askedAtMs = performance.now();
    try {
      const params = { node, owner: instance, limit, leaseMs: this.#options.leaseMs };
      const { jobs } = await database.run("outbox.claim", params, { signal: this.#abandon.signal });
      if (this.#away) log.info("the outbox is back");
      this.#away = false;
      return jobs.map((job) => ({ job, askedAtMs }));
    } catch (error) {
      // Once, not at every look.
      if (!this.#away && !this.#stopping.signal.aborted) log.warn("the outbox is away", { error });
      this.#away = true;
      return [];
    }
  }

  #begin(job: OutboxJob, askedAtMs: number): void {
    const running = this.#do(job, askedAtMs).finally(() => {
      this.#running.delete(running);
      this.wake();
    });
    this.#running.add(running);
  }

  /** Never rejects: what cannot even be reported comes back when its lease has run out. */
  async #do(job: OutboxJob, askedAtMs: number): Promise<void> {
    const { leaseMs } = this.#options;
    const lease = new JobLease(this.#context, job, { leaseMs, askedAtMs, parent: this.#abandon.signal });
    try {
      await doJob(this.#context, job, lease);
    } catch (error) {
      await this.#failed(job, lease, error);
    } finally {
      lease.end();
    }
  }

  async #failed(job: OutboxJob, lease: JobLease, error: unknown): Promise<void> {
    const { database, instance, log } = this.#context;
    const message = error instanceof Error ? error.message : String(error);
    const fields = { job: job.kind, fileHash: job.fileHash, attempt: job.attempts + 1, error: message };
    if (lease.lost) {
      log.warn("a job went to another worker", fields);
      return;
    }
    const released = this.#abandon.signal.aborted;
    const failed = error instanceof Hopeless;
    const delayMs = released ? 0 : this.#delayMs(job.attempts);
    if (failed) log.error("a job cannot be done", fields);
    else if (!released) log.warn("a job is tried again", { ...fields, delayMs });
    try {
      const params = {
        id: job.id,
        owner: instance,
        error: message.slice(0, errorMaxChars),
        nextAttemptMs: Date.now() + delayMs,
        failed,
      };
      await database.run("outbox.retry", params, { timeoutMs: reportTimeoutMs });
      // Sooner than the slow polling of an empty outbox would find it.
      if (!failed && !released) setTimeout(() => this.wake(), delayMs).unref();
    } catch (unreported) {
      log.warn("a job comes back when its lease has run out", { ...fields, error: String(unreported) });
    }
  }

  /** Twice as long each time, and at random, so that what failed together does not come back together. */
  #delayMs(attempts: number): number {
    const { retryMinMs, retryMaxMs } = this.#context.settings;
    const fullMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempts, 30));
    return Math.round(fullMs * (0.5 + 0.5 * Math.random()));
  }

  /** True: woken before the time was up. */
  #pause(timeMs: number): Promise<boolean> {
    if (this.#woken || this.#stopping.signal.aborted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeMs);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
