/**
 * How far a subscription without a group has come. It is the only one that knows once the broker has forgotten it, which a broker does when it
 * has heard nothing of the subscription's process for long.
 */
export class OwnPlace {
  readonly #compare: (a: string, b: string) => number;
  readonly #unfinished = new Set<string>();
  #last: string | undefined;

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
    for (const one of this.#unfinished) if (first === undefined || this.#compare(one, first) < 0) first = one;
    return first;
  }

  /** What was handed out and is not finished stays so. */
  startBehind(position: string): void {
    this.#last = position;
  }

  /** True: no message behind it has come. */
  handed(position: string): boolean {
    this.#unfinished.add(position);
    if (this.#last !== undefined && this.#compare(position, this.#last) <= 0) return false;
    this.#last = position;
    return true;
  }

  finished(position: string): void {
    this.#unfinished.delete(position);
  }
}
