import type { SendQueue } from "./send-queue.js";
import type { FrameDecoder, FrameSink } from "./wire/frame-decoder.js";

/** With fewer frames than this a read is not split: an additional write and read would cost more. */
const sliceFramesMin = 8;
/** With more frames than this a read is not split either: the size of the answers makes them leave early anyway. */
const splitFramesMax = 64;
/** Where writes are costly, the caller makes about so many parts of the replies it waits for: one at each end, and one on the way. */
const partsOfReplies = 3;
/** A remainder up to this size is set aside; larger frames arrive in reads of their own, and are not worth a copy. */
const restMaxBytes = 16 * 1024;

export interface ReceiveQueueOwner extends FrameSink {
  /** Replies that are still to come, those in a read that is being processed among them. The provider, which waits for none: `Infinity`. */
  readonly repliesAwaited: number;
  /** Nothing more is decoded. */
  onMalformed(reason: string): void;
  /** The second part of a read is about to be processed; the owner may hold the queue here. */
  onGoOn(): void;
}

/**
 * Receives the bytes of one connection. If one read has many frames, the first half is processed and answered before
 * the second. So both ends of the connection work at the same time, instead of waiting for each other's batch.
 * The owner may hold it after any frame, also in the middle of a read, until `resume`.
 */
export class ReceiveQueue {
  readonly #decoder: FrameDecoder;
  readonly #sendQueue: SendQueue;
  readonly #owner: ReceiveQueueOwner;
  readonly #costlyWrites: boolean;
  /** How many frames the last read had. */
  #lastFrames = 0;
  #rest: Buffer | undefined;
  #held = false;

  /** `costlyWrites`: see `Connection`. */
  constructor(decoder: FrameDecoder, sendQueue: SendQueue, owner: ReceiveQueueOwner, costlyWrites: boolean) {
    this.#decoder = decoder;
    this.#sendQueue = sendQueue;
    this.#owner = owner;
    this.#costlyWrites = costlyWrites;
  }

  /** Arrived bytes are not processed for now. */
  get held(): boolean {
    return this.#held;
  }

  receive(chunk: Buffer): void {
    this.#workOnRest();
    if (this.#held) {
      this.#keep(chunk);
      return;
    }
    const most = chunk.length <= restMaxBytes ? Math.max(sliceFramesMin, this.#sliceFrames()) : Infinity;
    const { frames } = this.#decoder;
    const malformed = this.#decoder.push(chunk, this.#owner, most);
    this.#lastFrames = this.#decoder.frames - frames;
    if (malformed !== undefined) this.#owner.onMalformed(malformed);
    else if (this.#decoder.unread < chunk.length) {
      this.#keep(chunk.subarray(this.#decoder.unread));
      // Wait until the handlers of the first half have run as far as they can now, so that the flush has their replies.
      if (!this.#held) queueMicrotask(() => process.nextTick(goOn, this));
    }
  }

  /**
   * How many frames of a read are processed before the rest. Halves of halves soon make parts of `sliceFramesMin`, best where a write
   * costs little. Where it costs more than the calls in it (TLS), only the caller splits, since it knows how much is on its way: parts of
   * what it waits for, as large as they may be while both ends have work.
   */
  #sliceFrames(): number {
    if (this.#costlyWrites) return Math.ceil(this.#owner.repliesAwaited / partsOfReplies);
    return this.#lastFrames <= splitFramesMax ? this.#lastFrames >> 1 : Infinity;
  }

  /** Sets bytes aside as a copy, since the socket reuses their memory. */
  #keep(bytes: Buffer): void {
    this.#rest = this.#rest === undefined ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
  }

  /**
   * Where the next bytes should be read to. A socket calls it directly after a read, not before the next one: while bytes are
   * set aside, the decoder does not know yet where the following ones belong.
   */
  readTo(usual: Buffer): Buffer {
    return this.#rest === undefined ? this.#decoder.readTo(usual) : usual;
  }

  /** Stops processing at the next frame. */
  hold(): void {
    this.#held = true;
    this.#decoder.hold();
  }

  /** Ends the hold, and processes the bytes set aside. */
  resume(): void {
    this.#held = false;
    this.#workOnRest();
  }

  /** Sends the replies of the first half, and processes the second. */
  goOn(): void {
    this.#sendQueue.flush();
    if (this.#rest !== undefined) this.#owner.onGoOn();
    this.#workOnRest();
  }

  #workOnRest(): void {
    const rest = this.#rest;
    if (rest === undefined || this.#held) return;
    this.#rest = undefined;
    const { frames } = this.#decoder;
    const malformed = this.#decoder.push(rest, this.#owner);
    this.#lastFrames += this.#decoder.frames - frames;
    if (malformed !== undefined) this.#owner.onMalformed(malformed);
    // Held again. The remainder is already a copy.
    else if (this.#decoder.unread < rest.length) this.#rest = rest.subarray(this.#decoder.unread);
  }

  /** No more bytes arrive: processes those set aside, unless it is held. */
  finish(): void {
    this.#workOnRest();
  }

  /** The connection is gone. */
  stop(): void {
    this.#rest = undefined;
    this.#held = false;
  }
}

function goOn(receiveQueue: ReceiveQueue): void {
  receiveQueue.goOn();
}
