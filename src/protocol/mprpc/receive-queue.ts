import type { SendQueue } from "./send-queue.js";
import type { FrameDecoder, FrameSink } from "./wire/frame-decoder.js";

/** Fewer frames than this are not worth a write and a read more. */
const sliceFramesMin = 8;
/** More frames than this are worth more in one go: their answers leave early anyway, by their size. */
const splitFramesMax = 64;
/** A rest up to this size is set aside; larger frames come in reads of their own anyway, and are not worth the copy. */
const restMaxBytes = 16 * 1024;

export interface ReceiveQueueOwner extends FrameSink {
  /** Nothing more is decoded. */
  onMalformed(reason: string): void;
  /** The second part of a read is about to be worked on; the receiveQueue may be held instead. */
  onGoOn(): void;
}

/**
 * Takes the bytes of one connection. Where one read brings many frames, the first half is worked on and answered before
 * the second: so both ends of the connection have something to do, where otherwise each would wait for the other's batch.
 * Its owner may hold it in the middle of a read, behind any frame, until `resume`.
 */
export class ReceiveQueue {
  readonly #decoder: FrameDecoder;
  readonly #sendQueue: SendQueue;
  readonly #owner: ReceiveQueueOwner;
  /** How many frames the last read brought. */
  #lastFrames = 0;
  #rest: Buffer | undefined;
  #held = false;

  constructor(decoder: FrameDecoder, sendQueue: SendQueue, owner: ReceiveQueueOwner) {
    this.#decoder = decoder;
    this.#sendQueue = sendQueue;
    this.#owner = owner;
  }

  /** What has come is not worked on now. */
  get held(): boolean {
    return this.#held;
  }

  receive(chunk: Buffer): void {
    this.#workOnRest();
    if (this.#held) {
      this.#keep(chunk);
      return;
    }
    const splits = chunk.length <= restMaxBytes && this.#lastFrames <= splitFramesMax;
    const most = splits ? Math.max(sliceFramesMin, this.#lastFrames >> 1) : Infinity;
    const { frames } = this.#decoder;
    const malformed = this.#decoder.push(chunk, this.#owner, most);
    this.#lastFrames = this.#decoder.frames - frames;
    if (malformed !== undefined) this.#owner.onMalformed(malformed);
    else if (this.#decoder.unread < chunk.length) {
      this.#keep(chunk.subarray(this.#decoder.unread));
      // Not before the handlers of the first half have gone as far as they can at once: their replies leave with the flush.
      if (!this.#held) queueMicrotask(() => process.nextTick(goOn, this));
    }
  }

  /** Sets bytes aside: their memory is the socket's, and used again. */
  #keep(bytes: Buffer): void {
    this.#rest = this.#rest === undefined ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
  }

  /**
   * Where the next bytes should be read to. A socket asks right after a read, not right before the next: while bytes are
   * set aside the decoder does not know yet where those behind them belong.
   */
  readTo(usual: Buffer): Buffer {
    return this.#rest === undefined ? this.#decoder.readTo(usual) : usual;
  }

  /** Works on nothing more, from the next frame on. */
  hold(): void {
    this.#held = true;
    this.#decoder.hold();
  }

  /** Ends the hold, and works on what was set aside. */
  resume(): void {
    this.#held = false;
    this.#workOnRest();
  }

  /** Sends what the first half brought, and takes the second up. */
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
    // Held once more. The rest is memory of ours already.
    else if (this.#decoder.unread < rest.length) this.#rest = rest.subarray(this.#decoder.unread);
  }

  /** Nothing more comes: works on what was set aside, unless it is held. */
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
