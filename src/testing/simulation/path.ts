import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** After a partition what was lost is sent again, by timers that have grown meanwhile, ms. */
const retransmitMaxMs = 200;

/** One direction between two hosts. */
export class Link {
  readonly from: string;
  readonly to: string;
  #down = false;
  readonly #holding = new Set<Path>();

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  get down(): boolean {
    return this.#down;
  }

  /** False: what is sent from now on waits. True: it goes on its way. */
  setUp(up: boolean): void {
    this.#down = !up;
    if (!up) return;
    const holding = [...this.#holding];
    this.#holding.clear();
    for (const path of holding) path.release();
  }

  /** @internal */
  hold(path: Path): void {
    this.#holding.add(path);
  }
}

export interface PathOptions {
  readonly link: Link;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly latencyMs: number;
  readonly jitterMs: number;
}

/**
 * Carries things one way, as one direction of a TCP connection does: late, but in order and each once. While the link is
 * down they wait, because TCP sends them again.
 */
export class Path {
  readonly #options: PathOptions;
  #lastArrivalMs = 0;
  #held: Array<() => void> = [];
  #dropped = false;

  constructor(options: PathOptions) {
    this.#options = options;
  }

  get latencyMs(): number {
    return this.#options.latencyMs;
  }

  /** `arrive` is called at the other end. */
  send(arrive: () => void): void {
    if (this.#dropped) return;
    const { link } = this.#options;
    if (link.down || this.#held.length > 0) {
      this.#held.push(arrive);
      if (link.down) link.hold(this);
      return;
    }
    this.#sendNow(arrive);
  }

  /** As `send`, but lost while the link is down: nobody sends a reset again. */
  sendUnreliably(arrive: () => void): void {
    if (!this.#options.link.down) this.send(arrive);
  }

  #sendNow(arrive: () => void): void {
    const { scheduler, random, latencyMs, jitterMs } = this.#options;
    const arrivalMs = scheduler.nowMs + latencyMs + (jitterMs > 0 ? random.between(0, jitterMs) : 0);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
    scheduler.at(this.#lastArrivalMs, () => {
      if (!this.#dropped) arrive();
    });
  }

  /** @internal The link is up again. */
  release(): void {
    const { scheduler, random, link } = this.#options;
    scheduler.after(random.between(0, retransmitMaxMs), () => {
      if (link.down) {
        if (this.#held.length > 0) link.hold(this);
        return;
      }
      for (const arrive of this.#held.splice(0)) this.#sendNow(arrive);
    });
  }

  /** Nothing arrives any more, and nobody is told. */
  drop(): void {
    this.#dropped = true;
    this.#held = [];
  }
}
