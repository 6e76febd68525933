import { shelve } from "../../protobuf/buffer-pool.js";
import { Writer } from "../../protobuf/writer.js";
import type { Connection } from "../../transport/transport.js";

/**
 * Gathered bytes are sent early at this size, so that the peer is not idle until the end of the turn; by then it has something
 * to do, and what follows in the same turn leaves in pieces that double up to the maximum.
 */
const earlyFlushBytes = 4096;
const earlyFlushMaxBytes = 32 * 1024;
/** While this much waits for the system, DATA waits with its stream, where windows and resets still reach it. */
const dataMaxBytes = 256 * 1024;

/**
 * Gathers the frames of one turn of the event loop in one buffer and sends them in one write. While a write is outstanding,
 * frames gather, so there is at most one write.
 */
export class Output {
  /** Where frames are appended. It has a buffer only while there are some. */
  readonly writer = new Writer(0);
  readonly #connection: Connection;
  #scheduled = false;
  #earlyBytes = earlyFlushBytes;
  #sending: Buffer | undefined;
  #sendingBytes = 0;
  /** Frames appended, and frames handed to the connection: one between the two was provably not sent. */
  written = 0;
  flushed = 0;
  #closed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A write is on its way. */
  get blocked(): boolean {
    return this.#sending !== undefined;
  }

  /** Bytes not handed to the system yet. */
  get pendingBytes(): number {
    return this.writer.position + this.#sendingBytes;
  }

  get takesData(): boolean {
    return this.#sending === undefined || this.writer.position < dataMaxBytes;
  }

  /** A frame is complete in the writer. */
  frameWritten(): void {
    this.written++;
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(flushLater, this);
    }
    if (this.writer.position < this.#earlyBytes) return;
    this.#earlyBytes = Math.min(this.#earlyBytes * 2, earlyFlushMaxBytes);
    this.flush();
  }

  /** @internal */
  onTick(): void {
    this.#scheduled = false;
    this.#earlyBytes = earlyFlushBytes;
    this.flush();
  }

  flush(): void {
    const { writer } = this;
    if (this.#sending !== undefined || writer.position === 0 || this.#closed) return;
    this.flushed = this.written;
    const bytes = writer.view();
    const buffer = writer.detach();
    if (this.#connection.write(bytes)) {
      shelve(buffer);
      return;
    }
    this.#sending = buffer;
    this.#sendingBytes = bytes.length;
  }

  /** The write that was on its way has left. */
  onDrain(): void {
    const sent = this.#sending;
    this.#sending = undefined;
    this.#sendingBytes = 0;
    if (sent !== undefined) shelve(sent);
    this.flush();
  }

  /** The connection is closed or accepts no more. Frames appended from now on are dropped. */
  stop(): void {
    this.#closed = true;
  }
}

function flushLater(output: Output): void {
  output.onTick();
}
