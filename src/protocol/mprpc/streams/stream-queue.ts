import { FrameEncoder } from "../wire/frame-encoder.js";

/** Messages of streams that may wait to be sent on one connection, bytes. */
const queuedMaxBytes = 256 * 1024;
/** What one stream may add while others wait for their turn, bytes. */
const burstBytes = 32 * 1024;
/** They are sent early at this size, so that the peer can start processing. */
const earlyFlushBytes = 32 * 1024;

/** A stream that waits for its turn. */
export interface QueuedStream {
  /** Bytes it has added since its last turn. */
  burst: number;
  onTurn(): void;
}

/**
 * The frames of streams that wait to be sent on one connection. They are sent after all other frames; streams take turns, so that none can
 * occupy the queue alone.
 */
export class StreamQueue {
  readonly encoder = new FrameEncoder();
  readonly #flush: () => void;
  readonly #flushLater: () => void;
  #waiting: QueuedStream[] = [];
  #turnDue = false;

  constructor(flush: () => void, flushLater: () => void) {
    this.#flush = flush;
    this.#flushLater = flushLater;
  }

  get bytes(): number {
    return this.encoder.writer.position;
  }

  hasRoomFor(stream: QueuedStream): boolean {
    if (this.bytes >= queuedMaxBytes) return false;
    return this.#waiting.length === 0 || stream.burst < burstBytes;
  }

  /** `onTurn` is called when it may go on. */
  wait(stream: QueuedStream): void {
    this.#waiting.push(stream);
    if (this.bytes === 0) this.#turnLater();
  }

  /** A frame was appended. */
  frameWritten(): void {
    if (this.bytes >= earlyFlushBytes) this.#flush();
    else this.#flushLater();
  }

  /** The queued frames were passed to the connection. */
  onFlushed(): void {
    if (this.#waiting.length > 0) this.#turnLater();
  }

  /** In a later turn: a stream that continues fills the queue again, and would flush it inside this flush. */
  #turnLater(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    queueMicrotask(() => {
      this.#turnDue = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const stream of waiting) {
        stream.burst = 0;
        stream.onTurn();
      }
    });
  }

  stop(): void {
    this.#waiting = [];
  }
}
