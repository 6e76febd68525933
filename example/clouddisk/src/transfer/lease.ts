import type { OutboxJob } from "../dbproxy/actions.js";
import type { TransferContext } from "./context.js";

/** This worker's right to do a job, prolonged while it works. */
export class JobLease {
  /** Aborted when the job is another worker's by now, when its time ran out, or by `parent`. */
  readonly signal: AbortSignal;
  readonly #context: Pick<TransferContext, "database" | "instance">;
  readonly #job: OutboxJob;
  readonly #leaseMs: number;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #untilMs: number;

  /** `askedAtMs`: by `performance.now()`, when the job was asked for; the lease is not older than that. */
  constructor(
    context: Pick<TransferContext, "database" | "instance">,
    job: OutboxJob,
    options: { leaseMs: number; askedAtMs: number; parent: AbortSignal },
  ) {
    this.#context = context;
    this.#job = job;
    this.#leaseMs = options.leaseMs;
    this.#untilMs = options.askedAtMs + options.leaseMs;
    this.signal = AbortSignal.any([this.#lost.signal, options.parent]);
    this.#timer = setInterval(() => void this.#tick(), options.leaseMs / 3);
    this.#timer.unref();
  }

  get lost(): boolean {
    return this.#lost.signal.aborted;
  }

  /** Asks whether the job is still ours; throws when it is not. What must not be done by two is done right after. */
  async confirm(): Promise<void> {
    await this.#renew();
    this.#checkTime();
    this.signal.throwIfAborted();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #tick(): Promise<void> {
    // Asked first: a renewal may hang longer than the lease lasts.
    this.#checkTime();
    try {
      await this.#renew();
    } catch {
      // Perhaps the database is back before the lease runs out.
    }
  }

  #checkTime(): void {
    if (performance.now() > this.#untilMs) this.#lost.abort(new Error("the lease of the job ran out"));
  }

  async #renew(): Promise<void> {
    const askedAtMs = performance.now();
    const { id } = this.#job;
    const params = { id, owner: this.#context.instance, leaseMs: this.#leaseMs };
    const { held } = await this.#context.database.run("outbox.renew", params);
    if (held) this.#untilMs = askedAtMs + this.#leaseMs;
    else this.#lost.abort(new Error("the job is another worker's by now"));
  }
}
