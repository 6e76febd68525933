import type { Day } from "./day.js";
import { lineMaxChars } from "./options.js";

/**
 * The memory the logging thread and its writer share: a few slots of text, passed round in order, and one word that says
 * who may write to the destination.
 *
 *     slot:   free --post (main)--> full --last byte written (whoever writes)--> free
 *     writer: nobody <--each batch--> worker;   nobody --claim--> main, for ever
 *
 * How far a slot has been written is kept in it after every write. So when main claims it goes on at the very byte where
 * the worker stopped: nothing is lost and nothing is written twice, whatever the worker was doing.
 */
export const slotCount = 2;
/** A slot takes the longest line and the report of a loss before it. */
export const slotMaxChars = 2 * lineMaxChars;
/** UTF-8 takes at most three bytes for a UTF-16 unit. Pages never touched cost nothing. */
const slotBytes = slotMaxChars * 3;

const writer = { nobody: 0, worker: 1, main: 2 } as const;
const slotState = { free: 0, full: 1 } as const;

/** Indices of the control words. */
const word = {
  /** 1 tells the worker to end. */
  stopped: 0,
  writer: 1,
  /** Grows with everything the worker should look at; the worker sleeps on it. */
  signal: 2,
  /** Grows with everything the worker achieved or failed at; a blocked caller sleeps on it. */
  progress: 3,
  /** 1 asks the worker for a message after its next step. */
  replyWanted: 4,
  /** 1 from a failed write until the next one that succeeds. */
  failing: 5,
  /** The signal the worker had seen before its last failed attempt. */
  attempted: 6,
  slots: 8,
} as const;
const slotWord = { state: 0, length: 1, day: 2, offset: 3 } as const;
const slotWords = 4;

/** What a slot holds. `bytes` is the shared memory itself. */
export interface SlotContent {
  bytes: Buffer;
  day: Day;
  /** How many bytes are written. */
  offset: number;
}

export class Mailbox {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #slots: Buffer[] = [];

  /** Without `memory` makes a new, empty mailbox. */
  constructor(memory?: SharedArrayBuffer) {
    const headBytes = 4 * (word.slots + slotCount * slotWords);
    this.memory = memory ?? new SharedArrayBuffer(headBytes + slotCount * slotBytes);
    this.#words = new Int32Array(this.memory, 0, headBytes / 4);
    for (let slot = 0; slot < slotCount; slot += 1) {
      this.#slots.push(Buffer.from(this.memory, headBytes + slot * slotBytes, slotBytes));
    }
  }

  // The slots.

  isFree(slot: number): boolean {
    return Atomics.load(this.#words, slotAt(slot, slotWord.state)) === slotState.free;
  }

  /** Fills a free slot; the worker sees it after `signal()`. `text` is at most `slotMaxChars` long. */
  post(slot: number, text: string, day: Day): void {
    const length = (this.#slots[slot] as Buffer).write(text, "utf8");
    this.#words[slotAt(slot, slotWord.length)] = length;
    this.#words[slotAt(slot, slotWord.day)] = day;
    this.#words[slotAt(slot, slotWord.offset)] = 0;
    Atomics.store(this.#words, slotAt(slot, slotWord.state), slotState.full);
  }

  /** What stands in a full slot. */
  content(slot: number): SlotContent | undefined {
    if (this.isFree(slot)) return undefined;
    const length = this.#words[slotAt(slot, slotWord.length)];
    return {
      bytes: (this.#slots[slot] as Buffer).subarray(0, length),
      day: this.#words[slotAt(slot, slotWord.day)] as number,
      offset: this.#words[slotAt(slot, slotWord.offset)] as number,
    };
  }

  setOffset(slot: number, offset: number): void {
    Atomics.store(this.#words, slotAt(slot, slotWord.offset), offset);
    this.#bumpProgress();
  }

  free(slot: number): void {
    Atomics.store(this.#words, slotAt(slot, slotWord.state), slotState.free);
    this.#bumpProgress();
  }

  // The right to write.

  /** The worker's, before each step. False once main has claimed or is about to. */
  acquire(): boolean {
    if (this.stopped) return false;
    return Atomics.compareExchange(this.#words, word.writer, writer.nobody, writer.worker) === writer.nobody;
  }

  release(): void {
    Atomics.store(this.#words, word.writer, writer.nobody);
    Atomics.notify(this.#words, word.writer);
  }

  /**
   * Main's, once: stops the worker and waits until it is between two writes. False when a write has hung for
   * `stallMaxMs` (a network folder that is gone, a pipe nobody reads): then nobody can say what it wrote.
   */
  claim(stallMaxMs: number): boolean {
    Atomics.store(this.#words, word.stopped, 1);
    this.signal();
    for (;;) {
      const before = Atomics.compareExchange(this.#words, word.writer, writer.nobody, writer.main);
      if (before !== writer.worker) return true;
      const progress = this.progress;
      const waited = Atomics.wait(this.#words, word.writer, writer.worker, stallMaxMs);
      if (waited === "timed-out" && this.progress === progress) return false;
    }
  }

  /** As `claim`, for a worker known to be dead. */
  claimFromDead(): void {
    Atomics.store(this.#words, word.stopped, 1);
    Atomics.store(this.#words, word.writer, writer.main);
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, word.stopped) === 1;
  }

  // Waking each other.

  /** Main's: there is something to look at. Returns the new value of the signal. */
  signal(): number {
    const value = (Atomics.add(this.#words, word.signal, 1) + 1) | 0;
    Atomics.notify(this.#words, word.signal);
    return value;
  }

  get signalled(): number {
    return Atomics.load(this.#words, word.signal);
  }

  /** Sleeps until `signal()` is called, unless it was since `seen`. */
  awaitSignal(seen: number, timeoutMs?: number): void {
    Atomics.wait(this.#words, word.signal, seen, timeoutMs);
  }

  get progress(): number {
    return Atomics.load(this.#words, word.progress);
  }

  /** Sleeps until there is progress, unless there was since `seen`. False after `timeoutMs` without any. */
  awaitProgress(seen: number, timeoutMs: number): boolean {
    return Atomics.wait(this.#words, word.progress, seen, timeoutMs) !== "timed-out";
  }

  requestReply(): void {
    Atomics.store(this.#words, word.replyWanted, 1);
  }

  /** The worker's: whether a message is asked for; asking is over then. */
  takeReplyRequest(): boolean {
    return Atomics.exchange(this.#words, word.replyWanted, 0) === 1;
  }

  // How the destination fares.

  get failing(): boolean {
    return Atomics.load(this.#words, word.failing) === 1;
  }

  /** Returns whether that is news. */
  setFailing(failing: boolean): boolean {
    return Atomics.exchange(this.#words, word.failing, failing ? 1 : 0) !== (failing ? 1 : 0);
  }

  setAttempted(seen: number): void {
    Atomics.store(this.#words, word.attempted, seen);
    this.#bumpProgress();
  }

  /** Whether an attempt that began after `signal` returned `value` has failed. The words wrap, hence the difference. */
  hasAttempted(value: number): boolean {
    return ((Atomics.load(this.#words, word.attempted) - value) | 0) >= 0;
  }

  #bumpProgress(): void {
    Atomics.add(this.#words, word.progress, 1);
    Atomics.notify(this.#words, word.progress);
  }
}

function slotAt(slot: number, field: number): number {
  return word.slots + slot * slotWords + field;
}
