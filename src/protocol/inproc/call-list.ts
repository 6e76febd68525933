/** The index of a call in the list of each end; -1: not in it. */
export interface Listed {
  atCaller: number;
  atProvider: number;
}

/**
 * The calls that one end has in flight. Not a `Set`: each time V8 makes a new table for one, the old table keeps the new one
 * alive, and with it calls that have long ended, until the next full collection.
 */
export class CallList<Call extends Listed> {
  readonly #calls: Call[] = [];
  readonly #place: "atCaller" | "atProvider";

  constructor(place: "atCaller" | "atProvider") {
    this.#place = place;
  }

  get size(): number {
    return this.#calls.length;
  }

  /** A copy: they may end meanwhile. */
  all(): Call[] {
    return [...this.#calls];
  }

  add(call: Call): void {
    call[this.#place] = this.#calls.push(call) - 1;
  }

  /** False when it is no longer there. The last call moves to its place. */
  delete(call: Call): boolean {
    const at = call[this.#place];
    if (at < 0) return false;
    call[this.#place] = -1;
    const last = this.#calls.pop() as Call;
    if (last === call) return true;
    this.#calls[at] = last;
    last[this.#place] = at;
    return true;
  }

  clear(): Call[] {
    const calls = this.#calls.splice(0);
    for (const call of calls) call[this.#place] = -1;
    return calls;
  }
}
