import type { Clock, Timer } from "../base/clock.js";
import type { Connection, ConnectionHandler } from "../transport/transport.js";
import { type ClassicDialect, detectProtocol } from "../wire/classic.js";
import { emptyBytes } from "../wire/codec/reader.js";

/** How long a caller may take to show what it speaks: mprpc/2 to the end of its first header, classic of its first request's. */
const decideWithinMs = 5000;

/** Long enough for the sockets to be looked at between two timers. */
const unreadMs = 10;

export interface FirstBytesOwner {
  /** `first` is what has arrived; the new owner takes the connection and these bytes. */
  onProtocol(protocol: "mprpc" | ClassicDialect, first: Buffer): void;
  /** Closed already; `reason` says why. */
  onRefused(reason: string): void;
  /** The caller left without a word, as port probes do. */
  onLeft(): void;
}

/** Owns a new connection until its first bytes tell the protocol, or for 5 s. */
export class FirstBytes implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #owner: FirstBytesOwner;
  #timer: Timer;
  /** What has come, at the front of a buffer that doubles: one byte at a time must not cost a copy of all each time. */
  #buffer: Buffer = emptyBytes;
  #length = 0;
  #isMprpc = false;
  #decided = false;

  constructor(connection: Connection, clock: Clock, owner: FirstBytesOwner) {
    this.#connection = connection;
    this.#owner = owner;
    this.#timer = clock.setTimer(() => {
      // A process that was busy meanwhile has not read what lies there: one turn for that first.
      this.#timer = clock.setTimer(() => this.#expire(), unreadMs);
    }, decideWithinMs);
    connection.setHandler(this);
  }

  #expire(): void {
    const missing = this.#isMprpc ? "its first header was not whole" : "no protocol recognised";
    this.refuse(`${missing} within ${decideWithinMs} ms (${this.#length} bytes came)`);
  }

  onData(chunk: Buffer): void {
    if (this.#decided) return;
    const received = this.#length === 0 ? chunk : this.#keep(chunk);
    const detection = detectProtocol(received);
    this.#isMprpc = detection.kind === "mprpc";
    // One that never ends its first header would otherwise be a connection like any other.
    if (detection.kind === "need-more" || (this.#isMprpc && received.length < 4 + received.readUInt32LE(0))) {
      if (received === chunk) this.#keep(chunk);
      return;
    }
    if (detection.kind === "refused") {
      this.refuse(detection.reason);
      return;
    }
    this.#decide();
    this.#owner.onProtocol(detection.kind === "mprpc" ? "mprpc" : detection.dialect, received);
  }

  /** Returns all that has come. */
  #keep(chunk: Buffer): Buffer {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
    return this.#buffer.subarray(0, length);
  }

  onEnd(): void {
    if (this.#length > 0) this.refuse("the caller left in mid-header");
    else this.onClose(undefined);
    this.#connection.destroy();
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    if (this.#decided) return;
    this.#decide();
    if (this.#length > 0) this.#owner.onRefused(error?.message ?? "the caller left in mid-header");
    else this.#owner.onLeft();
  }

  /** Closes the connection with RST. */
  refuse(reason: string): void {
    if (this.#decided) return;
    this.#decide();
    this.#connection.reset();
    this.#owner.onRefused(reason);
  }

  #decide(): void {
    this.#decided = true;
    this.#timer.cancel();
  }
}
