import type { LogFields, Logger } from "mprpc";
import type { Database } from "../dbproxy/client.js";

/** How a task went the last time it was this process's turn. */
export interface TaskRun {
  startedAtMs: number;
  elapsedMs: number;
  outcome: "done" | "failed" | "stopped";
  /** What the task gave, as it was logged. */
  result: LogFields;
  error: string;
}

/** What it gives goes into the log line of the run. It ends soon after `signal` is aborted. */
// biome-ignore lint/suspicious/noConfusingVoidType: an async function without a return statement gives Promise<void>.
export type Task = (signal: AbortSignal) => Promise<LogFields | void>;

interface Entry {
  readonly name: string;
  readonly intervalMs: number;
  readonly task: Task;
  timer: NodeJS.Timeout | undefined;
  /** Settles when no run of this process is under way any more; never rejects. */
  idle: Promise<unknown>;
}

/** A process that dies during a task leaves it to the others after this long. */
const runLeaseMs = 60_000;
/** The first look after a start, and the next after a turn that was another's or failed. */
const lookAgainMs = 30_000;
/** A stop does not wait long for a database that is gone. */
const leaseTimeoutMs = 3_000;
/** The longest a timer of Node.js waits. */
const timerMaxMs = 2_147_483_647;

/**
 * Tasks at intervals, each done by one process at a time over all of them. Two leases do that: `run:<name>` is held while
 * a task runs, `due:<name>` from the start of a run until the interval after it has passed.
 */
export class Schedule {
  readonly lastRuns = new Map<string, TaskRun>();
  readonly #database: Pick<Database, "run">;
  readonly #instance: string;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #stopping = new AbortController();
  #started = false;

  constructor(database: Pick<Database, "run">, instance: string, log: Logger) {
    this.#database = database;
    this.#instance = instance;
    this.#log = log;
  }

  add(name: string, intervalMs: number, task: Task): void {
    if (this.#entries.has(name)) throw new TypeError(`the task ${name} is there already`);
    const entry: Entry = { name, intervalMs, task, timer: undefined, idle: Promise.resolve() };
    this.#entries.set(name, entry);
    if (this.#started) this.#plan(entry, Math.min(intervalMs, lookAgainMs) * Math.random());
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const entry of this.#entries.values()) {
      // Processes started together do not all ask at the same moment.
      this.#plan(entry, Math.min(entry.intervalMs, lookAgainMs) * Math.random());
    }
  }

  /** Aborts what runs and waits for it. Nothing runs afterwards. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the process is stopping"));
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
    await Promise.all([...this.#entries.values()].map((entry) => entry.idle));
  }

  /**
   * Runs it without regard to its interval, after a run that is under way here. False: another process is at it. Rejects
   * with what the task fails with.
   */
  async runNow(name: string): Promise<boolean> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new TypeError(`there is no task ${name}`);
    return await this.#enqueue(entry, () => this.#run(entry));
  }

  #plan(entry: Entry, delayMs: number): void {
    if (this.#stopping.signal.aborted) return;
    entry.timer = setTimeout(() => void this.#turn(entry), Math.min(delayMs, timerMaxMs));
    entry.timer.unref();
  }

  async #turn(entry: Entry): Promise<void> {
    let done = false;
    try {
      done = await this.#enqueue(entry, async () => {
        if (!(await this.#take(`due:${entry.name}`, runLeaseMs))) return false;
        if (!(await this.#run(entry))) return false;
        await this.#take(`due:${entry.name}`, entry.intervalMs);
        return true;
      });
    } catch {
      // The run logged it. A database that is away is asked again like everything else.
    }
    const jitter = 0.9 + 0.2 * Math.random();
    this.#plan(entry, (done ? entry.intervalMs : Math.min(entry.intervalMs, lookAgainMs)) * jitter);
  }

  /** One after the other within this process, where the leases do not tell runs apart. */
  #enqueue<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    const result = entry.idle.then(work);
    entry.idle = result.catch(() => {});
    return result;
  }

  async #run(entry: Entry): Promise<boolean> {
    if (this.#stopping.signal.aborted) return false;
    const lease = `run:${entry.name}`;
    if (!(await this.#take(lease, runLeaseMs))) return false;
    const lost = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, lost.signal]);
    const renewing = setInterval(() => void this.#renew(entry, lost), runLeaseMs / 3);
    const startedAtMs = Date.now();
    const run: TaskRun = { startedAtMs, elapsedMs: 0, outcome: "done", result: {}, error: "" };
    try {
      run.result = (await entry.task(signal)) ?? {};
    } catch (error) {
      run.outcome = signal.aborted ? "stopped" : "failed";
      run.error = String(error);
      throw error;
    } finally {
      clearInterval(renewing);
      run.elapsedMs = Date.now() - startedAtMs;
      this.#report(entry, run);
      // As good as given back: leases cannot be shorter.
      await this.#take(lease, 1).catch(() => false);
    }
    return true;
  }

  #report(entry: Entry, run: TaskRun): void {
    this.lastRuns.set(entry.name, run);
    const fields = { task: entry.name, elapsedMs: run.elapsedMs, ...run.result };
    if (run.outcome === "failed") this.#log.error("task failed", { ...fields, error: run.error });
    else this.#log.info(run.outcome === "done" ? "task done" : "task stopped", fields);
  }

  async #renew(entry: Entry, lost: AbortController): Promise<void> {
    try {
      const held = await this.#take(`run:${entry.name}`, runLeaseMs);
      await this.#take(`due:${entry.name}`, runLeaseMs);
      if (!held) lost.abort(new Error(`another process has taken over ${entry.name}`));
    } catch {
      // The tasks are harmless when done twice: a database that is away for a moment does not end them.
    }
  }

  async #take(name: string, leaseMs: number): Promise<boolean> {
    const params = { name, owner: this.#instance, leaseMs: Math.max(1, Math.round(leaseMs)) };
    return (await this.#database.run("lease.take", params, { timeoutMs: leaseTimeoutMs })).taken;
  }
}
