import type { Clock } from "../base/clock.js";

/** Time that handlers may take in one turn of the event loop, all connections together, ms. */
const budgetMs = 10;
/** For handlers faster than this, ms, the clock is not read each time; reading it costs about 0.05 us. */
const quickMs = 0.05;
/** The clock is read after this many quick handlers. */
const strideMax = 16;

/** A connection whose bytes wait for the next turn. */
export interface Postponed {
  /** Continues with them; may have to wait for another turn. */
  takeTurn(): void;
}

/**
 * Shares the event loop between the connections of a provider. Handlers that do not wait for anything run one after the
 * other while frames are read, and nothing else happens meanwhile: no reply leaves, no deadline passes, no ping is
 * answered. So a connection stops reading when a turn has taken `budgetMs`, and joins a queue.
 *
 * A turn ends where `setImmediate` calls back. Scheduling it in each turn would cost every call, so it is scheduled
 * once per `budgetMs`; a turn is too long when the budget has passed and it has not called back yet.
 */
export class Turn {
  readonly #clock: Clock;
  readonly #queue: Postponed[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #untilMs = Number.NEGATIVE_INFINITY;
  /** When the bytes being processed were read. */
  #begunMs = 0;
  /** The time, not older than the last few quick handlers. */
  nowMs = 0;
  #stride = 1;
  #left = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Processing of bytes that were just read begins. True: there is time for it in this turn. */
  begin(nowMs: number): boolean {
    this.nowMs = this.#begunMs = nowMs;
    this.#stride = this.#left = 1;
    if (nowMs < this.#untilMs) return true;
    if (this.#immediate !== undefined) return false;
    this.#countFrom(nowMs);
    return true;
  }

  /** The same for bytes that have waited, at the current time. */
  beginLate(): boolean {
    return this.begin(this.#clock.now());
  }

  #countFrom(nowMs: number): void {
    this.#untilMs = nowMs + budgetMs;
    this.#immediate = setImmediate(next, this);
  }

  /** A handler was called and has returned a value or a promise. True: the rest has to wait for another turn. */
  spent(): boolean {
    if (--this.#left > 0) return false;
    this.#look();
    if (this.nowMs < this.#untilMs) return false;
    // The budget was counted from an earlier turn; this one is at least as old as the bytes that are worked on.
    if (this.#immediate === undefined) this.#countFrom(this.#begunMs);
    return this.nowMs >= this.#untilMs;
  }

  /**
   * The time for a handler that is called later than its request was read, after interceptors. The clock is read again: handlers
   * that waited run one after the other within one turn, and the time of the previous one is not counted.
   */
  later(): number {
    return this.#clock.now();
  }

  #look(): void {
    const nowMs = this.#clock.now();
    const quick = nowMs - this.nowMs < quickMs * this.#stride;
    this.#stride = quick ? Math.min(strideMax, this.#stride * 2) : 1;
    this.#left = this.#stride;
    this.nowMs = nowMs;
  }

  /** Continues `one` when it is its turn. */
  postpone(one: Postponed): void {
    this.#queue.push(one);
    this.#immediate ??= setImmediate(next, this);
  }

  /** @internal The turn has ended. */
  next(): void {
    this.#immediate = undefined;
    // Those that have to wait again go to the end of the queue.
    for (let left = this.#queue.length; left > 0; left--) {
      if (!this.beginLate()) return;
      this.#queue.shift()?.takeTurn();
    }
  }
}

function next(turn: Turn): void {
  turn.next();
}
