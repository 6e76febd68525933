import type { Clock } from "../base/clock.js";
import type { ClientSession } from "../protocol/protocol.js";

/** A connection that was made after a loss is taken for one with the process the registry names next, for this long, ms. */
const successorWithinMs = 10_000;
/** When one more connection beside those that are up was refused, the next is tried after this, ms. */
const growAgainAfterMs = 1000;
/** A provider that goes away before the first reply is one that stops, or a broken one when its connection is younger, ms. */
const youngMs = 1000;

/** The connections to one provider: those that calls go to, and those that are left. */
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
  /** Connections in a row that were lost, or to be left at once, with calls on them and no reply. */
  #unproven = 0;
  #onEmpty = (): void => {};
  /** How many are being made. */
  opening = 0;

  /** `fullMax`: to as many it grows when all that are there are full. */
  constructor(clock: Clock, max: number, fullMax = 0) {
    this.#clock = clock;
    this.#max = max;
    this.#fullMax = fullMax;
  }

  /** Calls may go to one. */
  get hasOpen(): boolean {
    return this.#sessions.length > 0;
  }

  /** None is there, those that are left included. */
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

  /** One connection at first, and no other beside it for a while. */
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

  /** It was lost, or could not be made. */
  noteLoss(): void {
    this.#lastLossMs = this.#clock.now();
  }

  /** No more calls go to it; those in flight may end there. */
  setLeaving(session: ClientSession): void {
    this.#sessions = this.#sessions.filter((one) => one !== session);
    this.#leaving.add(session);
  }

  /** The same for those that `which` says, and each is told. */
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

  /** Calls went to `session` and none was answered. True when that was so more than once in a row. */
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
   * Whether `session` is most likely with the process that has taken the address, which the registry is often late to say.
   * Should it be with the old one all the same, which vanished within these seconds, the keepalive finds that out.
   */
  isWithSuccessor(session: ClientSession): boolean {
    const openedMs = this.#openedMs.get(session) ?? Number.NEGATIVE_INFINITY;
    return openedMs >= this.#lastLossMs && this.#clock.now() - openedMs < successorWithinMs;
  }
}
