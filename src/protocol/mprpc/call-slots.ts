import type { Attempt } from "../../call/attempt.js";
import { firstCallId, nextCallId, slotOf } from "./wire/call-number.js";

/** In the place of a call that was given up: its number is free again only when the provider has answered. */
const abandoned = Symbol("abandoned");
/** In the place of a call that never reached the provider: no answer comes, and its number is not used again. */
const retired = Symbol("retired");
type Slot = Attempt | typeof abandoned | typeof retired | undefined;

/**
 * The calls of one connection by their numbers. A slot is used again when the answer to its call has come, the one that
 * has been free for longest first, and with the next generation; so an answer that comes twice meets no other call.
 */
export class CallSlots {
  /** Calls that an answer is awaited of, those that were given up among them. */
  inFlight = 0;
  #abandoned = 0;
  readonly #slots: Slot[] = [undefined];
  /** The present number of each slot; of a free one, the next. */
  readonly #ids: number[] = [0];
  /** The free slots in a ring: behind each the one that became free after it. */
  readonly #nextFree: number[] = [0];
  #firstFree = 0;
  #lastFree = 0;

  /** The number the next call gets. */
  get nextId(): number {
    return this.#firstFree === 0 ? firstCallId(this.#slots.length) : (this.#ids[this.#firstFree] as number);
  }

  /** Takes `call` in under `id`, which is `nextId`. */
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

  /** An answer to this number is awaited. */
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

  /** Calls that an answer is awaited of by more than their number: they were not given up. */
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

  /** The answer to this number, which is expected, has come: frees it. The call, unless it was given up. */
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

  /** Forgets all; the calls that were not given up. */
  clear(): Attempt[] {
    const { calls } = this;
    this.#slots.length = 0;
    this.inFlight = this.#abandoned = 0;
    return calls;
  }
}
