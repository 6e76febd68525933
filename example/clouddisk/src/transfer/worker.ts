import { setTimeout as delay } from "node:timers/promises";
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
  /** While a broker hands the jobs out: how often the outbox is looked at for those it has lost. */
  sweepMs: number;
  /** What is being stored when the worker is stopped has this long to end; then it is left to the next one. */
  stopGraceMs: number;
}

export const workerDefaults: Omit<WorkerOptions, "leaseMs"> = {
  pollMinMs: 100,
  pollMaxMs: 3_000,
  sweepMs: 5_000,
  stopGraceMs: 5_000,
};

/** How often a job that another worker has is looked at, at least. */
const heldLookMs = 1_000;
/** The error of a job is kept in the database; more than this is not read by anybody. */
const errorMaxChars = 1_000;
/** A stop does not wait long for a database that is gone. */
const reportTimeoutMs = 3_000;

/** What a job failed with, and when it is due again; undefined: not by our doing. */
interface Failure {
  readonly error: unknown;
  readonly retryInMs: number | undefined;
}

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
  #handedOut = false;
  /** Places that are kept for jobs which the outbox was asked for. */
  #claiming = 0;
  /** Jobs that were handed out and wait for a place. */
  readonly #waiting: Array<() => void> = [];

  constructor(context: TransferContext, options: Partial<WorkerOptions> = {}) {
    this.#context = context;
    this.#options = { ...workerDefaults, leaseMs: context.settings.leaseMs, ...options };
  }

  start(): void {
    this.#loop ??= this.#work();
  }

  /** Whether a broker hands the jobs out: the outbox is then asked only for those it has lost. */
  set handedOut(value: boolean) {
    this.#handedOut = value;
    this.wake();
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
    while (this.#running.size > 0) await Promise.all(this.#running);
    clearTimeout(grace);
  }

  async #work(): Promise<void> {
    const { pollMinMs, pollMaxMs, sweepMs } = this.#options;
    let pauseMs = pollMinMs;
    while (!this.#stopping.signal.aborted) {
      this.#woken = false;
      const free = this.#context.settings.concurrency - this.#running.size;
      this.#claiming = Math.max(0, free);
      const jobs = free > 0 ? await this.#claim(free) : [];
      this.#claiming = 0;
      for (const { job, askedAtMs } of jobs) this.#begin(job, askedAtMs);
      if (jobs.length > 0) pauseMs = pollMinMs;
      // With every place taken the end of a job wakes; with some free there may be no more work.
      if (jobs.length === free && free > 0) continue;
      this.#letIn();
      if (await this.#pause(this.#handedOut ? sweepMs : pauseMs)) pauseMs = pollMinMs;
      else pauseMs = Math.min(pollMaxMs, pauseMs * 2);
    }
  }

  async #claim(limit: number): Promise<Array<{ job: OutboxJob; askedAtMs: number }>> {
    const { database, node, instance, log } = this.#context;
    const askedAtMs = performance.now();
    try {
      const { leaseMs, sweepMs } = this.#options;
      const dueForMs = this.#handedOut ? sweepMs : 0;
      const params = { node, owner: instance, limit, leaseMs, dueForMs };
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
    const running = this.#do(job, askedAtMs, this.#abandon.signal).then((failure) => {
      this.#running.delete(running);
      // Sooner than the slow polling of an empty outbox would find it.
      if (failure?.retryInMs !== undefined) this.#wakeIn(failure.retryInMs);
      this.#letIn();
      this.wake();
    });
    this.#running.add(running);
  }

  /** Those that wait look for a place once more. */
  #letIn(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  #wakeIn(delayMs: number): void {
    setTimeout(() => this.wake(), delayMs).unref();
  }

  /**
   * Does the job of this content, which a broker has handed out; nothing when it has none. One that another worker has is waited for: it may be left
   * undone. Rejects with what it failed with: it is worth another try, unless that is Hopeless.
   */
  async perform(fileHash: string, signal: AbortSignal): Promise<void> {
    const abandoned = AbortSignal.any([this.#abandon.signal, signal]);
    for (;;) {
      while (this.#running.size + this.#claiming >= this.#context.settings.concurrency) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
      const heldForMs = await this.#inPlace(() => this.#perform(fileHash, abandoned));
      if (heldForMs === 0) return;
      await delay(Math.min(heldForMs, heldLookMs), undefined, { signal: abandoned });
    }
  }

  /** Settles as `work` does, which has one of the places until then. */
  #inPlace<T>(work: () => Promise<T>): Promise<T> {
    const done = work();
    const leave = (): void => {
      this.#running.delete(running);
      this.#letIn();
    };
    const running = done.then(leave, leave);
    this.#running.add(running);
    return done;
  }

  /** Gives for how long another worker has the job; 0: there is nothing left to do. */
  async #perform(fileHash: string, abandoned: AbortSignal): Promise<number> {
    abandoned.throwIfAborted();
    const { database, node, instance } = this.#context;
    const { leaseMs } = this.#options;
    const askedAtMs = performance.now();
    const params = { fileHash, node, owner: instance, leaseMs };
    const { job, heldForMs } = await database.run("outbox.take", params, { signal: abandoned });
    if (job === null) return heldForMs;
    const failure = await this.#do(job, askedAtMs, abandoned);
    if (failure !== undefined) throw failure.error;
    return 0;
  }

  /** Never rejects: what cannot even be reported comes back when its lease has run out. Undefined: done, or another worker's by now. */
  async #do(job: OutboxJob, askedAtMs: number, abandoned: AbortSignal): Promise<Failure | undefined> {
    const { leaseMs } = this.#options;
    const lease = new JobLease(this.#context, job, { leaseMs, askedAtMs, parent: abandoned });
    try {
      await doJob(this.#context, job, lease);
      return undefined;
    } catch (error) {
      return await this.#failed(job, lease, error, abandoned.aborted);
    } finally {
      lease.end();
    }
  }

  async #failed(
    job: OutboxJob,
    lease: JobLease,
    error: unknown,
    released: boolean,
  ): Promise<Failure | undefined> {
    const { database, instance, log } = this.#context;
    const message = error instanceof Error ? error.message : String(error);
    const fields = { job: job.kind, fileHash: job.fileHash, attempt: job.attempts + 1, error: message };
    if (lease.lost) {
      log.warn("a job went to another worker", fields);
      return undefined;
    }
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
      return { error, retryInMs: failed || released ? undefined : delayMs };
    } catch (unreported) {
      log.warn("a job comes back when its lease has run out", { ...fields, error: String(unreported) });
      return { error, retryInMs: undefined };
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
