import type { Clock, Timer } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { messages } from "../../error/messages.js";

export interface HandshakeLimits {
  /** How long a handshake may take, from the accepted connection on, ms. Default 5000. */
  readonly handshakeTimeoutMs: number;
  /** Handshakes under way at a time; the others wait for their turn. Default 512. */
  readonly handshakesMax: number;
  /** The same of one address. Default 64. */
  readonly handshakesPerAddressMax: number;
}

export const defaultHandshakeLimits: HandshakeLimits = {
  handshakeTimeoutMs: 5000,
  handshakesMax: 512,
  handshakesPerAddressMax: 64,
};

/** While others wait, a handshake that took this long is closed, ms. An honest one takes a round trip or two. */
const hurriedMs = 1000;
/** How many connections may wait, as a multiple of the concurrent handshakes. */
const waitingFactor = 16;

export interface Handshake {
  /** It may begin. */
  begin(): void;
  /** It is closed; not followed by `leave`. */
  drop(reason: string): void;
}

/** The place of one handshake. */
export interface GateTicket {
  /** It has ended, successfully or not. Idempotent. */
  leave(): void;
}

class Ticket implements GateTicket {
  beganMs = 0;
  state: "waiting" | "under-way" | "gone" = "waiting";
  timer: Timer | undefined;
  readonly address: string;
  readonly handshake: Handshake;
  readonly #onLeave: (ticket: Ticket) => void;

  constructor(address: string, handshake: Handshake, onLeave: (ticket: Ticket) => void) {
    this.address = address;
    this.handshake = handshake;
    this.#onLeave = onLeave;
  }

  leave(): void {
    this.#onLeave(this);
  }
}

function count(counts: Map<string, number>, address: string, more: 1 | -1): void {
  const next = (counts.get(address) ?? 0) + more;
  if (next === 0) counts.delete(address);
  else counts.set(address, next);
}

/**
 * Limits the cost of handshakes. A limited number run at a time, fewer per address; the others wait, and nothing is read from
 * them. The newest waiting connection is next: in a flood of slow ones an honest caller then waits for one free place,
 * not for all earlier connections. While any waits, slow handshakes are closed sooner.
 */
export class HandshakeGate {
  readonly #clock: Clock;
  readonly #limits: HandshakeLimits;
  readonly #underWay = new Set<Ticket>();
  readonly #underWayOf = new Map<string, number>();
  readonly #waiting = new Set<Ticket>();
  readonly #waitingOf = new Map<string, number>();
  #hurry: Timer | undefined;

  constructor(clock: Clock, limits: HandshakeLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Begins the handshake now, or when the limit allows it. */
  enter(address: string, handshake: Handshake): GateTicket {
    const { handshakeTimeoutMs } = this.#limits;
    const ticket = new Ticket(address, handshake, (one) => {
      this.#remove(one);
      this.#goOn();
    });
    const onTimeout = (): void => this.#drop(ticket, messages.handshakeTimedOut(handshakeTimeoutMs));
    ticket.timer = new PeerTimer(this.#clock, onTimeout, handshakeTimeoutMs);
    this.#waiting.add(ticket);
    count(this.#waitingOf, address, 1);
    // Nobody else's turn has come by it.
    if (this.#mayBegin(ticket)) this.#begin(ticket);
    else this.#limitWaiting(ticket);
    return ticket;
  }

  #limitWaiting({ address }: Ticket): void {
    const { handshakesMax, handshakesPerAddressMax } = this.#limits;
    const tooManyOf = (this.#waitingOf.get(address) ?? 0) > handshakesPerAddressMax * waitingFactor;
    if (tooManyOf || this.#waiting.size > handshakesMax * waitingFactor) {
      for (const oldest of this.#waiting) {
        if (tooManyOf && oldest.address !== address) continue;
        this.#drop(oldest, this.#tooMany(tooManyOf));
        break;
      }
    }
    this.#hurryOldest();
  }

  #tooMany(ofAddress: boolean): string {
    const { handshakesMax, handshakesPerAddressMax } = this.#limits;
    return ofAddress
      ? messages.tooManyHandshakesOf(handshakesPerAddressMax)
      : messages.tooManyHandshakes(handshakesMax);
  }

  #mayBegin({ address }: Ticket): boolean {
    const { handshakesMax, handshakesPerAddressMax } = this.#limits;
    if (this.#underWay.size >= handshakesMax) return false;
    return (this.#underWayOf.get(address) ?? 0) < handshakesPerAddressMax;
  }

  #goOn(): void {
    if (this.#waiting.size === 0) return;
    if (this.#underWay.size < this.#limits.handshakesMax) {
      for (const ticket of [...this.#waiting].reverse()) if (this.#mayBegin(ticket)) this.#begin(ticket);
    }
    this.#hurryOldest();
  }

  #begin(ticket: Ticket): void {
    this.#waiting.delete(ticket);
    count(this.#waitingOf, ticket.address, -1);
    ticket.state = "under-way";
    ticket.beganMs = this.#clock.now();
    this.#underWay.add(ticket);
    count(this.#underWayOf, ticket.address, 1);
    ticket.handshake.begin();
  }

  /** Which limit keeps somebody waiting who could begin in the place of `ticket`. */
  #blocks({ address }: Ticket): "all" | "address" | undefined {
    if (this.#waiting.size === 0) return undefined;
    const { handshakesMax, handshakesPerAddressMax } = this.#limits;
    if (this.#underWay.size >= handshakesMax) {
      for (const other of this.#waitingOf.keys())
        if ((this.#underWayOf.get(other) ?? 0) < handshakesPerAddressMax) return "all";
    }
    return this.#waitingOf.has(address) ? "address" : undefined;
  }

  /** Closes handshakes that have used up their time and keep others waiting, now or when the oldest of them has. */
  #hurryOldest(): void {
    if (this.#hurry !== undefined || this.#waiting.size === 0) return;
    for (const ticket of this.#underWay) {
      if (this.#blocks(ticket) === undefined) continue;
      const leftMs = ticket.beganMs + hurriedMs - this.#clock.now();
      this.#hurry = new PeerTimer(this.#clock, () => this.#hurryNow(), Math.max(0, leftMs));
      return;
    }
  }

  #hurryNow(): void {
    this.#hurry = undefined;
    const before = this.#clock.now() - hurriedMs;
    for (const ticket of this.#underWay) {
      if (ticket.beganMs > before) break;
      const limit = this.#blocks(ticket);
      if (limit !== undefined) this.#drop(ticket, this.#tooMany(limit === "address"));
    }
    this.#hurryOldest();
  }

  #drop(ticket: Ticket, reason: string): void {
    if (ticket.state === "gone") return;
    this.#remove(ticket);
    ticket.handshake.drop(reason);
    this.#goOn();
  }

  #remove(ticket: Ticket): void {
    const { state, address } = ticket;
    if (state === "gone") return;
    ticket.state = "gone";
    ticket.timer?.cancel();
    if (state === "waiting") {
      this.#waiting.delete(ticket);
      count(this.#waitingOf, address, -1);
      return;
    }
    this.#underWay.delete(ticket);
    count(this.#underWayOf, address, -1);
  }

  /** Ends every handshake. */
  close(reason: string): void {
    this.#hurry?.cancel();
    for (const ticket of [...this.#waiting, ...this.#underWay]) this.#drop(ticket, reason);
  }
}
