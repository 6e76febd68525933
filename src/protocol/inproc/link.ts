import { AsyncResource } from "node:async_hooks";
import type { Clock } from "../../base/clock.js";
import type { Postponed, Turn } from "../../call/turn.js";

/** Yields at the latest after this many deliveries, also with a clock that does not advance. */
const deliveriesMax = 1024;

/** Runs `job` in the async context that was current when it was made. */
export type InContext = (job: () => void) => void;

/** The current async context. Handlers must not see what a caller has stored in its own, nor the other way round. */
export function currentContext(): InContext {
  // What `AsyncLocalStorage.snapshot()` does, at a fifth of its cost: this runs twice for each call.
  const resource = new AsyncResource("mprpc.inproc");
  return (job) => void resource.runInAsyncScope(job);
}

/** Something that one end has for the other. */
export interface Parcel {
  /** True: a handler was called. */
  deliver(): boolean;
}

/** Parcels of one direction, in their order. */
class Lane {
  readonly inContext: InContext;
  readonly #turn: Turn;
  #parcels: Parcel[] = [];
  #at = 0;
  /** The turn of the event loop was used up. */
  late = false;

  constructor(inContext: InContext, turn: Turn) {
    this.inContext = inContext;
    this.#turn = turn;
  }

  get empty(): boolean {
    return this.#at === this.#parcels.length;
  }

  push(parcel: Parcel): void {
    this.#parcels.push(parcel);
  }

  /** Setting the length is a call into the engine, which costs more than to take a few out. */
  #clear(): void {
    while (this.#parcels.length > 0) this.#parcels.pop();
    this.#at = 0;
  }

  readonly deliver = (): void => {
    this.late = false;
    while (!this.late && !this.empty) {
      const parcel = this.#parcels[this.#at] as Parcel;
      if (++this.#at === this.#parcels.length) this.#clear();
      if (parcel.deliver()) this.late = this.#turn.spent();
    }
    // A list that never becomes empty must not keep delivered items.
    if (this.#at > 1024) {
      this.#parcels = this.#parcels.slice(this.#at);
      this.#at = 0;
    }
  };
}

/**
 * Delivers between the two ends of a connection within the process. Never synchronously, since neither end expects to be
 * called in the middle of its work, but after the running code, and within the time that handlers have in one turn of the
 * event loop.
 */
export class InprocLink implements Postponed {
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #toProvider: Lane;
  readonly #toCaller: Lane;
  #scheduled = false;
  /** Deliveries since it last waited for a turn. */
  #deliveries = 0;

  constructor(clock: Clock, turn: Turn, provider: InContext, caller: InContext) {
    this.#clock = clock;
    this.#turn = turn;
    this.#toProvider = new Lane(provider, turn);
    this.#toCaller = new Lane(caller, turn);
  }

  toProvider(parcel: Parcel): void {
    this.#toProvider.push(parcel);
    this.#schedule();
  }

  toCaller(parcel: Parcel): void {
    this.#toCaller.push(parcel);
    this.#schedule();
  }

  /** Runs in the caller's context at once. */
  inCaller(job: () => void): void {
    this.#toCaller.inContext(job);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#begin);
  }

  readonly #begin = (): void => {
    if (++this.#deliveries < deliveriesMax && this.#turn.begin(this.#clock.now())) this.takeTurn();
    else this.#postpone();
  };

  #postpone(): void {
    this.#deliveries = 0;
    this.#turn.postpone(this);
  }

  takeTurn(): void {
    const [provider, caller] = [this.#toProvider, this.#toCaller];
    try {
      if (!provider.empty) provider.inContext(provider.deliver);
      if (!caller.empty) caller.inContext(caller.deliver);
    } finally {
      // A callback of the user may have thrown; the rest is delivered all the same.
      this.#scheduled = false;
      if (!provider.empty || !caller.empty) {
        this.#scheduled = true;
        if (provider.late) this.#postpone();
        else process.nextTick(this.#begin);
      }
    }
  }
}
