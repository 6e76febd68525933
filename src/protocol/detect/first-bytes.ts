import type { Clock, Timer } from "../../base/clock.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { ByteQueue } from "../byte-queue.js";
import { type ClassicDialect, detectProtocol } from "../classic/classic-wire.js";

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
  /** Nothing while the first read may tell it all, as it mostly does: then that goes on as it came. */
  readonly #received = new ByteQueue();
  #isMprpc = false;
  /** Before so many have come there is nothing to see. */
  #neededBytes = 0;
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
    this.refuse(`${missing} within ${decideWithinMs} ms (${this.#received.length} bytes came)`);
  }

  onData(chunk: Buffer): void {
    if (this.#decided) return;
    const isFirst = this.#received.length === 0;
    if (!isFirst) this.#received.append(chunk);
    const received = isFirst ? chunk : this.#received.bytes;
    if (received.length < this.#neededBytes) return;
    const detection = detectProtocol(received);
    this.#isMprpc = detection.kind === "mprpc";
    // One that never ends its first header would otherwise be a connection like any other.
    const headerEnd = this.#isMprpc ? 4 + received.readUInt32LE(0) : 0;
    if (detection.kind === "need-more" || received.length < headerEnd) {
      const bytes = detection.kind === "need-more" ? detection.bytes : headerEnd;
      if (isFirst) this.#received.append(chunk);
      // A long header that comes a byte at a time is not parsed from its beginning at each.
      this.#neededBytes = Math.min(bytes, 2 * received.length);
      return;
    }
    if (detection.kind === "refused") {
      this.refuse(detection.reason);
      return;
    }
    this.#decide();
    this.#owner.onProtocol(detection.kind === "mprpc" ? "mprpc" : detection.dialect, received);
  }

  onEnd(): void {
    if (this.#received.length > 0) this.refuse("the caller left in mid-header");
    else this.onClose(undefined);
    this.#connection.destroy();
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    if (this.#decided) return;
    this.#decide();
    if (this.#received.length > 0) this.#owner.onRefused(error?.message ?? "the caller left in mid-header");
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
