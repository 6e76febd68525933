import type { InprocCall } from "./call.js";

/**
 * The calls that one end has in flight. Not a `Set`: each time V8 makes a new table for one, the old table keeps the new one
 * alive, and with it calls that have long ended, until the next full collection.
 */
export class CallList {
  readonly #calls: InprocCall[] = [];
  readonly #place: "atCaller" | "atProvider";

  constructor(place: "atCaller" | "atProvider") {
    this.#place = place;
  }

  get size(): number {
    return this.#calls.length;
  }

  /** A copy: they may end meanwhile. */
  all(): InprocCall[] {
    return [...this.#calls];
  }

  add(call: InprocCall): void {
    call[this.#place] = this.#calls.push(call) - 1;
  }

  /** False when it is not there any more. The last one takes its place. */
  delete(call: InprocCall): boolean {
    const at = call[this.#place];
    if (at < 0) return false;
    call[this.#place] = -1;
    const last = this.#calls.pop() as InprocCall;
    if (last === call) return true;
    this.#calls[at] = last;
    last[this.#place] = at;
    return true;
  }

  clear(): InprocCall[] {
    const calls = this.#calls.splice(0);
    for (const call of calls) call[this.#place] = -1;
    return calls;
  }
}
