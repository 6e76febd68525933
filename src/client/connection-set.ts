import type { Clock } from "../base/clock.js";
import type { ClientSession } from "../protocol/protocol.js";

/** For this long, ms, a connection made after a loss is assumed to reach the process that the registry names next. */
const successorWithinMs = 10_000;
/** Delay, ms, before the next try after an additional connection was refused while others are up. */
const growAgainAfterMs = 1000;
/** A provider that closes before its first reply is stopping; if the connection is younger than this, ms, it is broken. */
const youngMs = 1000;

/** The connections to one provider: those that take new calls, and those that are being drained. */
export class ConnectionSet {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #fullMax: number;
  #sessions: ClientSession[] = [];
  readonly #leaving = new Set<ClientSession>();
  readonly #openedMs = new WeakMap<ClientSession, number>();
  #growFromMs = Number.NEGATIVE_INFINITY;
  /** When a connection was last lost, or could not be made. */
  #lastLossMs = Number.POSITIVE_INFINITY;
  readonly #counted = new WeakSet<ClientSession>();
  /** Consecutive connections that were lost, or announced their end, with calls on them and no reply. */
  #unproven = 0;
  #onEmpty = (): void => {};
  /** How many are being made. */
  opening = 0;

  /** `fullMax`: the number of connections it may grow to when all are full. */
  constructor(clock: Clock, max: number, fullMax = 0) {
    this.#clock = clock;
    this.#max = max;
    this.#fullMax = fullMax;
  }

  /** Calls may go to one. */
  get hasOpen(): boolean {
    return this.#sessions.length > 0;
  }

  /** There is no connection, not even one being drained. */
  get isEmpty(): boolean {
    return this.#sessions.length === 0 && this.#leaving.size === 0;
  }

  async whenEmpty(): Promise<void> {
    if (this.isEmpty) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  get inFlight(): number {
    let inFlight = 0;
    for (const session of this.#sessions) inFlight += session.inFlight;
    return inFlight;
  }

  get mayGrow(): boolean {
    const open = this.#sessions.length;
    if (open + this.opening >= this.#max && !this.#isFull) return false;
    return open === 0 || this.#clock.now() >= this.#growFromMs;
  }

  get #isFull(): boolean {
    if (this.opening > 0 || this.#sessions.length >= this.#fullMax) return false;
    for (const session of this.#sessions) if (!session.welcomed || session.hasRoom) return false;
    return this.#sessions.length > 0;
  }

  /** Opens a single connection, and no second one for a while. */
  growLater(): void {
    this.#growFromMs = this.#clock.now() + growAgainAfterMs;
  }

  leastBusy(): ClientSession | undefined {
    const sessions = this.#sessions;
    let best = sessions[0];
    for (let i = 1; i < sessions.length; i++) {
      const other = sessions[i] as ClientSession;
      if (best === undefined || other.inFlight < best.inFlight) best = other;
    }
    return best;
  }

  add(session: ClientSession): void {
    this.#sessions.push(session);
    this.#openedMs.set(session, this.#clock.now());
  }

  /** A connection was lost, or could not be made. */
  noteLoss(): void {
    this.#lastLossMs = this.#clock.now();
  }

  /** Drains a connection: it gets no new calls; those in flight may end on it. */
  setLeaving(session: ClientSession): void {
    this.#sessions = this.#sessions.filter((one) => one !== session);
    this.#leaving.add(session);
  }

  /** Drains the connections that `which` selects, and notifies each. */
  leave(which: (session: ClientSession) => boolean = () => true): void {
    const left = this.#sessions.filter(which);
    for (const session of left) {
      this.setLeaving(session);
      session.drain();
    }
  }

  isLeaving(session: ClientSession): boolean {
    return this.#leaving.has(session);
  }

  /** It is closed. */
  remove(session: ClientSession): void {
    this.#sessions = this.#sessions.filter((one) => one !== session);
    this.#leaving.delete(session);
    this.noteLoss();
    if (this.isEmpty) this.#onEmpty();
  }

  /** Ends those that calls go to, when the calls in flight have ended. */
  drain(): void {
    for (const session of this.#sessions) session.drain();
  }

  close(reason: string): void {
    for (const session of [...this.#sessions, ...this.#leaving]) session.close(reason);
  }

  /** A reply came on a connection: the provider works. */
  proven(): void {
    this.#unproven = 0;
  }

  /** `session` had calls and answered none. True if that happened more than once in a row. */
  countUnproven(session: ClientSession): boolean {
    if (!this.#counted.has(session)) {
      this.#counted.add(session);
      this.#unproven++;
    }
    return this.isUnproven;
  }

  get isUnproven(): boolean {
    return this.#unproven > 1;
  }

  isYoung(session: ClientSession): boolean {
    const openedMs = this.#openedMs.get(session) ?? Number.NEGATIVE_INFINITY;
    return this.#clock.now() - openedMs < youngMs;
  }

  /**
   * Whether `session` most likely reaches the new process at the address, which the registry often reports late. If it reaches
   * the old process, which vanished in the meantime, the keepalive detects that.
   */
  isWithSuccessor(session: ClientSession): boolean {
    const openedMs = this.#openedMs.get(session) ?? Number.NEGATIVE_INFINITY;
    return openedMs >= this.#lastLossMs && this.#clock.now() - openedMs < successorWithinMs;
  }
}
