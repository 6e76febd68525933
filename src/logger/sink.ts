import type { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../base/clock.js";
import { reportToStderr } from "../log/report.js";
import { BatchWriter, blockedRetryMs, type StepResult } from "./batch-writer.js";
import type { Day } from "./day.js";
import { createDestination, type DestinationOptions, messageOf } from "./destination.js";
import { type Batch, LineQueue } from "./line-queue.js";
import { Mailbox, slotCount, slotMaxChars } from "./mailbox.js";
import type { ResolvedLoggerOptions } from "./options.js";
import { startWorker } from "./start-worker.js";

/** What became of the lines of one destination: `enqueued = written + dropped + queued`, at any moment. */
export interface SinkStats {
  /** Lines made, the reports of losses among them. */
  enqueued: number;
  /** Lines that stand in the destination to their last byte, as far as the writer has told. */
  written: number;
  /** Lines given up: the queue was full, or the process ended while the destination failed. */
  dropped: number;
  /** Lines on their way. */
  queued: number;
  /** Whether the last attempt to write failed. */
  failing: boolean;
}

export interface SinkOptions
  extends Pick<ResolvedLoggerOptions, "queueLimit" | "queueMaxChars" | "overflow" | "retryMs"> {
  destination: DestinationOptions;
}

export interface SinkDeps {
  clock: Clock;
  today(): Day;
  /** Makes the line that stands where `dropped` lines are missing. */
  lossLine(dropped: number): string;
}

/** How long a caller (overflow `block`) or the end of the process waits for a writer without any progress, ms. */
const stallMaxMs = 5000;
/** A batch is handed over within the tick once so much has gathered: the writer starts early, and writes in one piece. */
const batchChars = 64 * 1024;

interface Waiter {
  /** Resolved when so many accepted lines have left. */
  target: number;
  /** Or when an attempt after this signal failed. */
  signal: number;
  resolve(): void;
}

/**
 * One destination with its queue and its writer.
 *
 *     threaded --worker died or never started--> direct     main writes, once per tick
 *     threaded | direct --the process ends--> ending        main writes each line at once
 *     any --closed, or failing at the end--> closed         lines are dropped
 */
type State = "threaded" | "direct" | "ending" | "closed";

export class Sink {
  readonly #options: SinkOptions;
  readonly #deps: SinkDeps;
  readonly #mailbox = new Mailbox();
  readonly #queue = new LineQueue();
  #state: State = "threaded";
  #accepting = true;
  #worker: Worker | undefined;
  /** Set while main has the right to write. */
  #writer: BatchWriter | undefined;
  #retry: Timer | undefined;
  #scheduled = false;
  #waiters: Waiter[] = [];

  // Slots are filled and freed in turn: `#oldest` is the first of `#busy` full ones.
  #oldest = 0;
  #busy = 0;
  readonly #slotLines = new Array<number>(slotCount).fill(0);
  readonly #slotStart = new Array<number>(slotCount).fill(0);

  #enqueued = 0;
  #written = 0;
  #dropped = 0;
  /** Lines that entered the queue, which numbers them. */
  #accepted = 0;
  /** Dropped lines no line has told of yet. */
  #gap = 0;
  /** A blocked caller has waited in vain: the next ones do not, until there is progress. */
  #stalled = false;

  constructor(options: SinkOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get stats(): SinkStats {
    this.#reap();
    const [enqueued, written, dropped] = [this.#enqueued, this.#written, this.#dropped];
    return {
      enqueued,
      written,
      dropped,
      queued: enqueued - written - dropped,
      failing: this.#mailbox.failing,
    };
  }

  /** Takes one line, its newline included; never throws. */
  enqueue(line: string, day: Day): void {
    this.#enqueued += 1;
    if (!this.#accepting || (!this.#hasRoom(line.length) && !this.#makeRoom(line.length))) {
      this.#dropped += 1;
      if (this.#accepting) this.#gap += 1;
      return;
    }
    if (this.#gap > 0 && this.#options.overflow !== "drop-oldest") this.#tellGap();
    this.#accept(line, day);
    if (this.#state === "ending") {
      this.#drainNow();
      return;
    }
    if (this.#queue.chars >= batchChars && this.#state === "threaded") this.#fill();
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#pump);
    }
  }

  /**
   * Resolves when every line enqueued before has been written or dropped, and also when the destination fails at an
   * attempt made after the call: the lines stay queued then, and `stats.failing` says so.
   */
  flush(): Promise<void> {
    if (this.#state === "ending" || this.#state === "closed") return Promise.resolve();
    return new Promise((resolve) => {
      this.#reap();
      this.#fill();
      this.#waiters.push({ target: this.#accepted, signal: this.#mailbox.signal(), resolve });
      this.#worker?.ref();
      this.#pump();
    });
  }

  /** Takes no more lines, writes those it has and stops the worker. What cannot be written is dropped and reported. */
  async close(): Promise<void> {
    this.#accepting = false;
    await this.flush();
    const hung = !this.end();
    this.#state = "closed";
    // A thread that hangs in the system would hold us up with it; it is unref'd.
    if (!hung) await this.#worker?.terminate();
  }

  /**
   * Writes all that waits before it returns, whatever the worker is doing, and every later line at once: for the end of
   * the process. False when the writer hangs.
   */
  end(): boolean {
    if (this.#state === "ending" || this.#state === "closed") return true;
    const owned = this.#writer !== undefined || this.#mailbox.claim(stallMaxMs);
    this.#retry?.cancel();
    this.#reap();
    if (owned) {
      this.#writer ??= this.#newWriter();
      this.#state = "ending";
      this.#drainNow();
    } else {
      this.#giveUp();
    }
    this.#settle(true);
    return owned;
  }

  #hasRoom(chars: number): boolean {
    const { queueLimit, queueMaxChars } = this.#options;
    return this.#queue.length < queueLimit && this.#queue.chars + chars <= queueMaxChars;
  }

  #accept(line: string, day: Day): void {
    this.#accepted += 1;
    this.#queue.push(line, day);
  }

  #tellGap(): void {
    const line = this.#deps.lossLine(this.#gap);
    this.#gap = 0;
    this.#enqueued += 1;
    this.#accept(line, this.#deps.today());
  }

  /** Makes room in a full queue as the policy says; false when the new line must go. */
  #makeRoom(chars: number): boolean {
    if (this.#state === "direct" && !this.#mailbox.failing) this.#writeAll();
    else this.#fill();
    if (this.#hasRoom(chars)) return true;
    const { overflow } = this.#options;
    if (overflow === "drop-newest") return false;
    if (overflow === "block") return this.#waitForRoom(chars);
    while (!this.#hasRoom(chars)) {
      this.#queue.shift();
      this.#dropped += 1;
      this.#gap += 1;
    }
    return true;
  }

  #waitForRoom(chars: number): boolean {
    if (this.#stalled || this.#state !== "threaded") return false;
    while (!this.#mailbox.failing) {
      const seen = this.#mailbox.progress;
      this.#reap();
      this.#fill();
      if (this.#hasRoom(chars)) return true;
      if (!this.#mailbox.awaitProgress(seen, stallMaxMs)) {
        this.#stalled = true;
        return false;
      }
    }
    return false;
  }

  /** Counts what the writer has finished. */
  #reap(): void {
    while (this.#busy > 0 && this.#mailbox.isFree(this.#oldest)) {
      this.#written += this.#slotLines[this.#oldest] as number;
      this.#oldest = (this.#oldest + 1) % slotCount;
      this.#busy -= 1;
      this.#stalled = false;
    }
  }

  /** Hands over as much as the free slots take. */
  #fill(): void {
    let posted = false;
    for (;;) {
      if (this.#busy === slotCount) this.#reap();
      if (this.#busy === slotCount) break;
      const start = this.#accepted - this.#queue.length;
      const batch = this.#nextBatch();
      if (batch === undefined) break;
      const slot = (this.#oldest + this.#busy) % slotCount;
      this.#mailbox.post(slot, batch.text, batch.day);
      this.#slotLines[slot] = batch.lines;
      this.#slotStart[slot] = start;
      this.#busy += 1;
      posted = true;
    }
    if (!posted) return;
    this.#mailbox.signal();
    if (this.#worker === undefined && this.#state === "threaded") this.#startWorker();
  }

  #nextBatch(): Batch | undefined {
    const { overflow } = this.#options;
    const gapIsNext = this.#gap > 0 && (overflow === "drop-oldest" || this.#queue.length === 0);
    if (!gapIsNext) return this.#queue.take(slotMaxChars);
    const line = this.#deps.lossLine(this.#gap);
    this.#gap = 0;
    this.#enqueued += 1;
    const batch = this.#queue.take(slotMaxChars - line.length);
    if (batch === undefined) return { text: line, lines: 1, day: this.#deps.today() };
    return { text: line + batch.text, lines: batch.lines + 1, day: batch.day };
  }

  #startWorker(): void {
    const { destination, retryMs } = this.#options;
    try {
      const worker = startWorker({ memory: this.#mailbox.memory, destination, retryMs });
      let cause = "it ended";
      worker.on("message", this.#pump);
      worker.on("error", (error) => {
        cause = messageOf(error);
      });
      worker.on("exit", () => {
        if (this.#state === "threaded") this.#goDirect(cause);
      });
      // After the listeners: adding the one for messages refs it. The exit hook answers for what it has not written.
      worker.unref();
      this.#worker = worker;
    } catch (error) {
      this.#goDirect(messageOf(error));
    }
  }

  /** Without its worker the logger is slower, not silent. */
  #goDirect(cause: string): void {
    reportToStderr(`the writer thread is lost (${cause}); writing from the calling thread`);
    this.#mailbox.claimFromDead();
    this.#reap();
    this.#writer = this.#newWriter();
    this.#worker = undefined;
    this.#state = "direct";
    this.#schedule(0);
  }

  #newWriter(): BatchWriter {
    return new BatchWriter(this.#mailbox, createDestination(this.#options.destination), this.#oldest);
  }

  /** Moves lines on and answers flushes; called once per tick that logged, and by the worker's messages. */
  readonly #pump = (): void => {
    this.#scheduled = false;
    if (this.#state === "direct") this.#pumpDirectly();
    if (this.#state !== "threaded") return;
    for (;;) {
      const seen = this.#mailbox.progress;
      this.#reap();
      this.#fill();
      this.#settle(false);
      if (this.#queue.length === 0 && this.#gap === 0 && this.#waiters.length === 0) return;
      // Asked for before looking again, so that what happens in between is not missed.
      this.#mailbox.requestReply();
      if (this.#mailbox.progress === seen) return;
    }
  };

  #pumpDirectly(): void {
    // A failing place is tried again by the timer, or when somebody waits for the answer.
    if (this.#retry !== undefined && this.#waiters.length === 0) return;
    const result = this.#writeAll();
    this.#settle(false);
    if (result === "failed") this.#schedule(this.#options.retryMs);
    if (result === "blocked") this.#schedule(blockedRetryMs);
  }

  #schedule(delayMs: number): void {
    this.#retry?.cancel();
    const retry = () => {
      this.#retry = undefined;
      this.#pump();
    };
    this.#retry = this.#deps.clock.setTimer(retry, delayMs, this.#waiters.length > 0);
  }

  /** Writes on this thread until nothing is left or the destination takes no more. */
  #writeAll(): StepResult {
    const writer = this.#writer;
    if (writer === undefined) return "idle";
    for (;;) {
      this.#reap();
      this.#fill();
      const seen = this.#mailbox.signalled;
      const result = writer.step();
      if (result === "failed") this.#mailbox.setAttempted(seen);
      if (result !== "written") return result;
    }
  }

  #drainNow(): void {
    let result = this.#writeAll();
    let waitedMs = 0;
    while (result === "blocked" && waitedMs < stallMaxMs) {
      const seen = this.#mailbox.progress;
      this.#mailbox.awaitProgress(seen, blockedRetryMs);
      result = this.#writeAll();
      waitedMs = this.#mailbox.progress === seen ? waitedMs + blockedRetryMs : 0;
    }
    if (result !== "idle") this.#giveUp();
  }

  /** Counts and reports what never will be written; there is no time left to try again. */
  #giveUp(): void {
    this.#accepting = false;
    this.#state = "closed";
    const name = createDestination(this.#options.destination).nameOf(this.#deps.today());
    let lost = this.#queue.length;
    for (; this.#busy > 0; this.#busy -= 1) {
      const lines = this.#slotLines[this.#oldest] as number;
      const content = this.#mailbox.content(this.#oldest);
      const done = content === undefined ? lines : countLines(content.bytes.subarray(0, content.offset));
      this.#written += done;
      lost += lines - done;
      this.#writer?.skip();
      this.#oldest = (this.#oldest + 1) % slotCount;
    }
    this.#queue.clear();
    this.#gap = 0;
    this.#dropped += lost;
    if (lost > 0) reportToStderr(`${lost} lines could not be written to ${name} before the end and are lost`);
  }

  #settle(all: boolean): void {
    if (this.#waiters.length === 0) return;
    const left =
      this.#busy > 0 ? (this.#slotStart[this.#oldest] as number) : this.#accepted - this.#queue.length;
    const settled = ({ target, signal }: Waiter) =>
      all ||
      (left >= target && this.#gap === 0) ||
      (this.#mailbox.failing && this.#mailbox.hasAttempted(signal));
    const due = this.#waiters.filter(settled);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
    if (this.#waiters.length === 0) this.#worker?.unref();
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, at + 1)) lines += 1;
  return lines;
}
