import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Delivery } from "../driver.js";
import { OwnPlace } from "../own-place.js";

/** A message that this process was given: its number in the stream, and when it was published, which tells it from another with that number. */
export interface Witness {
  readonly sequence: number;
  readonly publishedMs: number;
}

/** Where a group goes on when its server does not know it any more. */
export interface KnownPlace {
  /** The number of the first message that may be unfinished. */
  readonly next: number;
  /** The last message by which the stream is recognised; undefined: none was seen yet. */
  readonly witness: Witness | undefined;
}

function witnessOf({ position, publishedMs }: Delivery): Witness {
  return { sequence: Number(position), publishedMs };
}

/**
 * How far a group has come, as one of its members knows. A nats-server that is killed while it writes the state of a consumer starts it
 * again at its first message; see `docs/events.md`. The description of a consumer is its mark: another one means that somebody has moved the
 * group, and that nothing we knew is true any more.
 */
export abstract class GroupPlace {
  #mark: string | undefined;

  abstract get known(): KnownPlace | undefined;
  /** A message was handed to this member. */
  abstract handed(delivery: Delivery): void;
  abstract finished(delivery: Delivery): void;
  /** The server is asked now, and what it answers is for `learn`. */
  asks(): void {}

  /** Whether the server could tell something new. */
  get isBehind(): boolean {
    return false;
  }

  /** Whether it needs to know with which message the stream begins. */
  get needsFirst(): boolean {
    return false;
  }

  /** The number of the first message that the stream still has. */
  begins(_first: number): void {}

  protected abstract moved(info: ConsumerInfo): void;
  protected abstract heard(info: ConsumerInfo): void;

  /** Of a consumer that was not made by this library nothing is known. */
  learn(info: ConsumerInfo): void {
    const mark = info.config.description;
    if (mark === undefined || mark !== this.#mark) this.moved(info);
    this.#mark = mark;
    if (mark !== undefined) this.heard(info);
  }

  /** What we knew was of another stream, or of a group that is there no more. */
  relearn(info: ConsumerInfo): void {
    this.#mark = undefined;
    this.learn(info);
  }

  /** The group was made again by us, from what we know on. */
  restored(info: ConsumerInfo): void {
    this.#mark = info.config.description;
  }

  /** Whether the server has forgotten: it has handed out less than we know to be finished. */
  isAheadOf({ config, delivered }: ConsumerInfo): boolean {
    const { known } = this;
    if (known === undefined || config.description !== this.#mark) return false;
    const { stream_seq: sequence } = delivered;
    // A file that was cut off in the middle gives numbers nobody could have counted to.
    return sequence < known.next - 1 || !Number.isSafeInteger(sequence);
  }
}

/**
 * Of a group with several members, of which each knows only its own messages: what all of them have finished, only the server can tell. What
 * it tells is used up to a message of our own, by which the stream can be recognised.
 */
export class SharedPlace extends GroupPlace {
  #latest: Delivery | undefined;
  /** The latest of our own messages when the server was asked. */
  #asked: Witness | undefined;
  /** An earlier one of these, which the group had not come to yet. */
  #awaited: Witness | undefined;
  #reached: Witness | undefined;

  get known(): KnownPlace | undefined {
    const witness = this.#reached;
    return witness && { next: witness.sequence + 1, witness };
  }

  handed(): void {}

  finished(delivery: Delivery): void {
    this.#latest = delivery;
  }

  override get isBehind(): boolean {
    return this.#latest !== undefined || this.#awaited !== undefined;
  }

  protected moved(): void {
    this.#latest = undefined;
    this.#asked = undefined;
    this.#awaited = undefined;
    this.#reached = undefined;
  }

  override asks(): void {
    if (this.#latest === undefined) return;
    this.#asked = witnessOf(this.#latest);
    this.#latest = undefined;
  }

  protected heard({ ack_floor: floor }: ConsumerInfo): void {
    const reached = floor.stream_seq;
    this.#reach(this.#awaited, reached);
    this.#reach(this.#asked, reached);
    // The earlier of both: one that was finished after the group was moved may have a number that is far away.
    const [next] = [this.#awaited, this.#asked]
      .filter((one) => one !== undefined && one.sequence > reached)
      .sort((a, b) => (a?.sequence ?? 0) - (b?.sequence ?? 0));
    this.#awaited = next;
  }

  #reach(witness: Witness | undefined, floor: number): void {
    if (witness === undefined || witness.sequence > floor) return;
    if (this.#reached === undefined || witness.sequence > this.#reached.sequence) this.#reached = witness;
  }
}

/** Of a subscription without a group, which is its only member. */
export class SolePlace extends GroupPlace {
  readonly #own = new OwnPlace((a, b) => Number(a) - Number(b));
  #witness: Witness | undefined;

  get known(): KnownPlace | undefined {
    const { first, last } = this.#own;
    if (last === undefined) return undefined;
    return { next: first === undefined ? Number(last) + 1 : Number(first), witness: this.#witness };
  }

  override get isBehind(): boolean {
    return this.needsFirst;
  }

  override get needsFirst(): boolean {
    return this.#own.isLarge;
  }

  override begins(first: number): void {
    this.#own.begins(String(first));
  }

  override relearn(info: ConsumerInfo): void {
    this.#own.clear();
    super.relearn(info);
  }

  handed(delivery: Delivery): void {
    if (this.#own.handed(delivery)) this.#witness = witnessOf(delivery);
  }

  finished(delivery: Delivery): void {
    this.#own.finished(delivery);
  }

  protected moved({ delivered }: ConsumerInfo): void {
    this.#own.startBehind(String(delivered.stream_seq));
    this.#witness = undefined;
  }

  protected heard(): void {}
}
