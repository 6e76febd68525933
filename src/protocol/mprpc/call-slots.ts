import type { Attempt } from "../../call/attempt.js";
import { firstCallId, nextCallId, slotOf } from "./wire/call-number.js";

/** Marks a call that was given up: its number is free again only when the provider has answered. */
const abandoned = Symbol("abandoned");
/** Marks a call that never reached the provider: no answer comes, and its number is not used again. */
const retired = Symbol("retired");
type Slot = Attempt | typeof abandoned | typeof retired | undefined;

/**
 * The calls of one connection by their numbers. A slot is reused when the answer to its call has arrived, the longest
 * free one first, with the next generation; so a duplicate answer never matches another call.
 */
export class CallSlots {
  /** Calls that wait for an answer, including those that were given up. */
  inFlight = 0;
  #abandoned = 0;
  readonly #slots: Slot[] = [undefined];
  /** The current number of each slot; for a free slot, the next one. */
  readonly #ids: number[] = [0];
  /** The free slots as a list: for each, the one that became free after it. */
  readonly #nextFree: number[] = [0];
  #firstFree = 0;
  #lastFree = 0;

  /** The number the next call gets. */
  get nextId(): number {
    return this.#firstFree === 0 ? firstCallId(this.#slots.length) : (this.#ids[this.#firstFree] as number);
  }

  /** Stores `call` under `id`, which is `nextId`. */
  add(call: Attempt, id: number): void {
    const slot = slotOf(id);
    if (slot === this.#slots.length) {
      this.#ids.push(id);
      this.#nextFree.push(0);
      this.#slots.push(call);
    } else {
      this.#firstFree = this.#nextFree[slot] as number;
      if (this.#firstFree === 0) this.#lastFree = 0;
      this.#slots[slot] = call;
    }
    call.id = id;
    this.inFlight++;
  }

  has(call: Attempt): boolean {
    return this.#slots[slotOf(call.id)] === call;
  }

  /** Whether an answer to this number is expected. */
  expects(id: number): boolean {
    const slot = slotOf(id);
    const there = this.#slots[slot];
    return there !== undefined && there !== retired && this.#ids[slot] === id;
  }

  /** The call of this number, unless it was given up. */
  find(id: number): Attempt | undefined {
    const there = this.#slots[slotOf(id)];
    return there === abandoned || there === retired || there?.id !== id ? undefined : there;
  }

  /** Calls that wait for an answer and were not given up. */
  get wanted(): number {
    return this.inFlight - this.#abandoned;
  }

  /** The call is given up; its number is in use until the answer comes. */
  abandon(call: Attempt): void {
    this.#abandoned++;
    this.#slots[slotOf(call.id)] = abandoned;
  }

  /** No answer to the call will come. */
  retire(call: Attempt): void {
    this.#slots[slotOf(call.id)] = retired;
    this.inFlight--;
  }

  /** The expected answer to this number has arrived: frees the number. Returns the call, unless it was given up. */
  release(id: number): Attempt | undefined {
    const slot = slotOf(id);
    const there = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#ids[slot] = nextCallId(id);
    this.#nextFree[slot] = 0;
    if (this.#lastFree === 0) this.#firstFree = slot;
    else this.#nextFree[this.#lastFree] = slot;
    this.#lastFree = slot;
    this.inFlight--;
    if (there === abandoned) this.#abandoned--;
    return there === abandoned || there === retired ? undefined : there;
  }

  /** The calls that were not given up. */
  get calls(): Attempt[] {
    return this.#slots.filter((one) => one !== undefined && one !== abandoned && one !== retired);
  }

  /** Removes all calls; returns those that were not given up. */
  clear(): Attempt[] {
    const { calls } = this;
    this.#slots.length = 0;
    this.inFlight = this.#abandoned = 0;
    return calls;
  }
}
