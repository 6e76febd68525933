import type { Clock, Timer } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { FrameDecoder } from "./wire/frame-decoder.js";
import type { WireLimits } from "./wire/limits.js";

/** A message in chunks that receives no bytes for this long ends its call, ms. */
export const stalledAfterMs = 10_000;
/** It is checked this many times meanwhile, so that a process that was frozen first reads what has arrived. */
const looks = 4;

export interface ArrivalsOwner<Call> {
  /** When bytes last arrived on the connection; undefined while its owner has paused reading. */
  readonly heardMs: number | undefined;
  /** The message of this call makes no progress. */
  onStalled(call: Call): void;
}

interface Arrival<Call> {
  readonly call: Call;
  readonly sizeBytes: number;
  missingBytes: number;
  /** The bytes received of all messages when this one last made progress. */
  seenBytes: number;
  /** How many consecutive checks saw no progress. */
  stalledLooks: number;
}

/** The messages in chunks that are arriving on one connection: how many, how large, and whether they make progress. */
export class Arrivals<Call> {
  readonly #clock: Clock;
  readonly #limits: WireLimits;
  readonly #decoder: FrameDecoder;
  readonly #owner: ArrivalsOwner<Call>;
  readonly #arrivals = new Map<number, Arrival<Call>>();
  #bytes = 0;
  #timer: Timer | undefined;
  #heardMs = 0;
  /** The bytes received of all messages at the last check. */
  #seenBytes = 0;

  constructor(clock: Clock, limits: WireLimits, decoder: FrameDecoder, owner: ArrivalsOwner<Call>) {
    this.#clock = clock;
    this.#limits = limits;
    this.#decoder = decoder;
    this.#owner = owner;
  }

  get size(): number {
    return this.#arrivals.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get calls(): Call[] {
    return [...this.#arrivals.values()].map(({ call }) => call);
  }

  /** Why one more message of this size is refused. A single one is always accepted. */
  refusal(sizeBytes: number): string | undefined {
    const { arrivingMax, arrivingMaxBytes } = this.#limits;
    const count = this.#arrivals.size;
    if (count === 0) return undefined;
    if (count >= arrivingMax) {
      return messages.tooManyArriving(count);
    }
    const bytes = this.#bytes + sizeBytes;
    if (bytes <= arrivingMaxBytes) return undefined;
    return messages.tooMuchArriving(bytes, arrivingMaxBytes);
  }

  add(callId: number, call: Call, sizeBytes: number): void {
    const seenBytes = this.#decoder.chunkBytes;
    this.#arrivals.set(callId, { call, sizeBytes, missingBytes: sizeBytes, seenBytes, stalledLooks: 0 });
    this.#bytes += sizeBytes;
    if (this.#timer !== undefined) return;
    this.#heardMs = this.#owner.heardMs ?? 0;
    this.#seenBytes = seenBytes;
    this.#lookLater();
  }

  /** The message is complete, or its call has ended. */
  delete(callId: number): void {
    const arrival = this.#arrivals.get(callId);
    if (arrival === undefined) return;
    this.#arrivals.delete(callId);
    this.#bytes -= arrival.sizeBytes;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#arrivals.clear();
  }

  #lookLater(): void {
    this.#timer = this.#clock.setTimer(() => this.#look(), stalledAfterMs / looks);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#arrivals.size === 0) return;
    this.#lookLater();
    const { heardMs } = this.#owner;
    if (heardMs === undefined) return;
    const { chunkBytes } = this.#decoder;
    const idle = heardMs === this.#heardMs;
    const othersCome = chunkBytes !== this.#seenBytes;
    this.#heardMs = heardMs;
    this.#seenBytes = chunkBytes;
    for (const [callId, arrival] of [...this.#arrivals]) {
      const missingBytes = this.#decoder.missingBytes(callId);
      // It is whole, and waits for the check of a token, which has a time limit of its own.
      if (missingBytes === undefined) continue;
      if (missingBytes !== arrival.missingBytes) {
        Object.assign(arrival, { missingBytes, seenBytes: chunkBytes, stalledLooks: 0 });
        continue;
      }
      const begun = missingBytes < arrival.sizeBytes;
      // On a slow line the other messages, which take turns, may take long. A message that has not begun may wait for anything.
      const waits = begun ? othersCome : !idle;
      const passedOver = chunkBytes - arrival.seenBytes > this.#limits.arrivingMaxBytes;
      arrival.stalledLooks = waits && !passedOver ? 0 : arrival.stalledLooks + 1;
      if (arrival.stalledLooks >= looks) this.#owner.onStalled(arrival.call);
    }
  }
}
