import type { Delivery } from "./driver.js";

type Handed = Pick<Delivery, "position" | "publishedMs">;

/** So many unfinished messages are never looked through for those that the broker has removed. */
const fewUnfinished = 1000;

/**
 * How far a subscription without a group has come. It is the only one that knows once the broker has forgotten it, which a broker does when it
 * has heard nothing of the subscription's process for long.
 */
export class OwnPlace {
  readonly #compare: (a: string, b: string) => number;
  /** When they were published, by their positions: another stream gives the positions once more. */
  readonly #unfinished = new Map<string, number>();
  #last: string | undefined;
  #unfinishedMax = fewUnfinished;

  /** `compare`: of two positions, as for sorting. */
  constructor(compare: (a: string, b: string) => number) {
    this.#compare = compare;
  }

  /** The position of the last message that came, or behind which it began. */
  get last(): string | undefined {
    return this.#last;
  }

  /** The position of the first message that came and is not finished. Looks at all of them. */
  get first(): string | undefined {
    let first: string | undefined;
    for (const one of this.#unfinished.keys()) {
      if (first === undefined || this.#compare(one, first) < 0) first = one;
    }
    return first;
  }

  /** Whether so many are unfinished that some may have been removed, which nobody tells: `begins` finds out. */
  get isLarge(): boolean {
    return this.#unfinished.size > this.#unfinishedMax;
  }

  /** The first message that the broker still keeps, undefined when it keeps none: those in front of it will not come again. */
  begins(first: string | undefined): void {
    for (const one of this.#unfinished.keys()) {
      if (first === undefined || this.#compare(one, first) < 0) this.#unfinished.delete(one);
    }
    this.#unfinishedMax = Math.max(fewUnfinished, 2 * this.#unfinished.size);
  }

  /** What was handed out and is not finished stays so. */
  startBehind(position: string): void {
    this.#last = position;
  }

  /** What was handed out was of another stream. */
  clear(): void {
    this.#unfinished.clear();
    this.#last = undefined;
  }

  /** True: no message behind it has come. */
  handed({ position, publishedMs }: Handed): boolean {
    this.#unfinished.set(position, publishedMs);
    if (this.#last !== undefined && this.#compare(position, this.#last) <= 0) return false;
    this.#last = position;
    return true;
  }

  finished({ position, publishedMs }: Handed): void {
    if (this.#unfinished.get(position) === publishedMs) this.#unfinished.delete(position);
  }
}
