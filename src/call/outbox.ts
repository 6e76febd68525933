import type { Connection } from "../transport/transport.js";
import { FrameEncoder } from "../wire/frame-encoder.js";

/** Gathered bytes leave early at this size: waiting for the end of the turn would leave the peer idle meanwhile. */
const earlyFlushBytes = 4096;
/** One write is at most this, so that a slow reader still shows progress now and then. */
const pieceBytes = 256 * 1024;
/** What a buffer starts with again after one was left to the socket. */
const freshBytes = 8192;

/**
 * Gathers the frames of one turn of the event loop in one buffer and sends them in one write. While a write is still
 * on its way, frames gather; so at most one write is outstanding.
 */
export class Outbox {
  readonly encoder = new FrameEncoder();
  readonly #connection: Connection;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #scheduled = false;
  /** The rest of a write that the socket has not taken yet. */
  #sending: Buffer | undefined;
  #blocked = false;
  /** Frames appended, and frames handed to the connection: a frame between the two has provably not left. */
  written = 0;
  flushed = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Bytes that have not left the process. */
  get pendingBytes(): number {
    return this.encoder.writer.position + (this.#sending?.length ?? 0) + this.#connection.unwrittenBytes;
  }

  /** A frame was appended to the encoder. */
  frameWritten(): void {
    this.written++;
    if (this.encoder.writer.position >= earlyFlushBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#flush);
    }
  }

  flush(): void {
    const { writer } = this.encoder;
    if (this.#blocked || writer.position === 0) return;
    this.flushed = this.written;
    if (writer.position > pieceBytes) {
      this.#sending = writer.view();
      writer.replace(freshBytes);
      this.#sendPieces();
    } else if (this.#connection.write(writer.view())) {
      writer.clear();
    } else {
      this.#blocked = true;
      writer.replace(freshBytes);
    }
  }

  /** The connection's last write has left. */
  onDrain(): void {
    this.#blocked = false;
    this.#sendPieces();
    this.flush();
  }

  /** The connection rests: what large messages left behind is given back. */
  trim(): void {
    this.encoder.writer.trim(freshBytes);
  }

  #sendPieces(): void {
    while (this.#sending !== undefined) {
      const piece = this.#sending.subarray(0, pieceBytes);
      this.#sending = piece.length < this.#sending.length ? this.#sending.subarray(pieceBytes) : undefined;
      if (!this.#connection.write(piece)) {
        this.#blocked = true;
        return;
      }
    }
  }
}
