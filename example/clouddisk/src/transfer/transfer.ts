import { Code } from "../common/codes.js";
import { Schedule } from "../common/schedule.js";
import type { DiskEvents } from "../events/disk-events.js";
import { cleanDatabase, cleanStaging } from "./clean.js";
import type { TransferContext } from "./context.js";
import { GarbageCollector } from "./garbage.js";
import type { TransferServiceHandler } from "./gen/transfer.js";
import { isHash } from "./hash.js";
import { JobQueue } from "./queue.js";
import { scrub } from "./scrub.js";
import { Worker, type WorkerOptions, workerDefaults } from "./worker.js";

export type TaskName = "clean" | "staging" | "garbage" | "scrub" | "recount";

/** Worker, scheduled tasks and RPC of one process. */
export class Transfer {
  readonly worker: Worker;
  readonly schedule: Schedule;
  readonly #queue: JobQueue | undefined;
  readonly #context: TransferContext;
  /** Of every node its own, since each has its own staging folder. */
  readonly #stagingTask: string;

  /** `events`: what hands the jobs out; without it the outbox is asked for them. */
  constructor(context: TransferContext, options: Partial<WorkerOptions> = {}, events?: DiskEvents) {
    this.#context = context;
    this.worker = new Worker(context, options);
    const { stopGraceMs = workerDefaults.stopGraceMs } = options;
    this.#queue = events && new JobQueue(context, events, this.worker, stopGraceMs);
    this.schedule = new Schedule(context.database, context.instance, context.log);
    this.#stagingTask = `staging:${context.node}`;
    const { cleanIntervalMs, scrubIntervalMs } = context.settings;
    const garbage = new GarbageCollector(context);
    this.schedule.add("clean", cleanIntervalMs, (signal) => cleanDatabase(context, signal));
    this.schedule.add(this.#stagingTask, cleanIntervalMs, (signal) => cleanStaging(context, signal));
    this.schedule.add("garbage", cleanIntervalMs, (signal) => garbage.run(signal));
    this.schedule.add("scrub", scrubIntervalMs, (signal) => scrub(context, signal));
    this.schedule.add("recount", scrubIntervalMs, () => context.database.run("content.recount", {}));
  }

  start(): void {
    this.worker.start();
    this.#queue?.start();
    this.schedule.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.schedule.stop(), this.#queue?.stop(), this.worker.stop()]);
    await this.#context.store.close();
  }

  /** Does a task at once. False: another process is at it. */
  runNow(task: TaskName): Promise<boolean> {
    return this.schedule.runNow(task === "staging" ? this.#stagingTask : task);
  }

  handlers(): TransferServiceHandler {
    const { database } = this.#context;
    return {
      submit: async ({ fileHash }) => {
        if (fileHash === "") {
          this.worker.wake();
          return { code: Code.DONE, message: "" };
        }
        if (!isHash(fileHash)) return notAHash;
        // A job that waits for its next attempt, or was given up, has a new reason to be tried.
        const { woken } = await database.run("outbox.wake", { fileHash });
        this.worker.wake();
        return { code: Code.DONE, message: woken > 0 ? "woken" : "nothing is waiting" };
      },
      status: async ({ fileHash }) => {
        if (!isHash(fileHash)) return notAHash;
        const found = await database.run("outbox.status", { fileHash });
        if (found.state === "") return { code: Code.NOT_FOUND, message: "no such content" };
        const { state, attempts, lastError, nextAttemptMs } = found;
        return {
          code: Code.DONE,
          message: "",
          state,
          attempts,
          lastError,
          nextAttemptMs: BigInt(nextAttemptMs),
        };
      },
    };
  }
}

const notAHash = { code: Code.PARAMETER, message: "file_hash is not a SHA-256 of 64 lower-case hex digits" };
