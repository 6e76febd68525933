import type { Clock, Timer } from "./clock.js";

const slotCount = 512;
const slotMs = 4;
/**
 * The timer looks at most this many slots (about 50 ms) ahead: few enough wake-ups to cost nothing, and short enough
 * that a process whose last call has ended is not kept alive noticeably by a timer that is still set.
 */
const lookaheadSlots = 12;

/** Something with a deadline. The links are the wheel's. */
export abstract class Expiring {
  /** On the wheel's clock; `Infinity`: never. Must not change while in the wheel. */
  deadlineMs = Infinity;
  /** @internal */
  wheelNext: Expiring | undefined = undefined;
  /** @internal */
  wheelPrevious: Expiring | undefined = undefined;
  /** @internal */
  wheelSlot = -1;

  /** The deadline has passed; it is out of the wheel already. */
  abstract onDeadline(): void;
}

/**
 * A hashed timing wheel (Varghese and Lauck 1987, scheme 6): adding and removing cost the same whether ten or a hundred
 * thousand calls are pending, and one timer serves them all. It fires at most `slotMs` late and never early; deadlines
 * beyond one turn (about 2 s) are looked at once a turn.
 */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #heads: Array<Expiring | undefined> = new Array(slotCount).fill(undefined);
  readonly #onTick = (): void => this.#tick();
  #count = 0;
  /** Number of the last slot time that has been swept. */
  #swept = 0;
  #timer: Timer | undefined;
  /** The slot time the timer is set for; `Infinity` while there is none. */
  #armedTurn = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#count;
  }

  add(item: Expiring): void {
    this.#count++;
    if (this.#timer === undefined) this.#swept = Math.floor(this.#clock.now() / slotMs);
    // The slot whose sweep comes after the deadline, and in any case one that is still to be swept. One without a
    // deadline lies in any slot: it is in the wheel to keep the process alive.
    const turn = Math.max(Math.ceil(item.deadlineMs / slotMs), this.#swept + 1);
    const slot = turn === Infinity ? 0 : turn % slotCount;
    const head = this.#heads[slot];
    item.wheelSlot = slot;
    item.wheelNext = head;
    if (head !== undefined) head.wheelPrevious = item;
    this.#heads[slot] = item;
    if (this.#timer === undefined || turn < this.#armedTurn) this.#arm(turn, this.#clock.now());
  }

  /** Takes `item` out; harmless when it is not in. */
  remove(item: Expiring): void {
    const slot = item.wheelSlot;
    if (slot < 0) return;
    const { wheelNext, wheelPrevious } = item;
    if (wheelPrevious === undefined) this.#heads[slot] = wheelNext;
    else wheelPrevious.wheelNext = wheelNext;
    if (wheelNext !== undefined) wheelNext.wheelPrevious = wheelPrevious;
    item.wheelNext = item.wheelPrevious = undefined;
    item.wheelSlot = -1;
    this.#count--;
  }

  /** Sets the timer for `turn`, or for the end of the lookahead if that comes first. */
  #arm(turn: number, now: number): void {
    this.#timer?.cancel();
    this.#armedTurn = Math.min(turn, Math.floor(now / slotMs) + lookaheadSlots);
    // Keeps the process alive: a pending call must settle before the process may end.
    this.#timer = this.#clock.setTimer(this.#onTick, Math.max(0, this.#armedTurn * slotMs - now), true);
  }

  #tick(): void {
    this.#timer = undefined;
    this.#armedTurn = Infinity;
    const now = this.#clock.now();
    const target = Math.floor(now / slotMs);
    // After a long pause one full turn visits every slot.
    const from = Math.max(this.#swept + 1, target - slotCount + 1);
    this.#swept = target;
    for (let turn = from; turn <= target; turn++) this.#sweep(turn % slotCount, now);
    if (this.#count === 0) return;
    let next = target + 1;
    while (next < target + lookaheadSlots && this.#heads[next % slotCount] === undefined) next++;
    if (next < this.#armedTurn) this.#arm(next, now);
  }

  #sweep(slot: number, now: number): void {
    const due: Expiring[] = [];
    for (let item = this.#heads[slot]; item !== undefined; item = item.wheelNext) {
      if (item.deadlineMs <= now) due.push(item);
    }
    for (const item of due) {
      // One that fell due may take another out with it: a cancelled call cancels its nested calls.
      if (item.wheelSlot < 0) continue;
      this.remove(item);
      item.onDeadline();
    }
  }
}
