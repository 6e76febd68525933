import { ByteQueue } from "../../base/byte-queue.js";
import type { Clock, Timer } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import type { ServerProtocol } from "../protocol.js";
import { detect } from "./detect.js";

/** How long a caller may take to show what it speaks. */
const decideWithinMs = 5000;

export interface FirstBytesOwner {
  /** `first` is what has arrived; the new owner takes the connection and these bytes. */
  onProtocol(protocol: ServerProtocol, variant: string | undefined, first: Buffer): void;
  /** Closed already; `reason` says why. */
  onRefused(reason: string): void;
  /** The caller left without a word, as port probes do. */
  onLeft(): void;
}

/** Owns a new connection until its first bytes tell the protocol, or for 5 s. */
export class FirstBytes implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #protocols: readonly ServerProtocol[];
  readonly #owner: FirstBytesOwner;
  readonly #timer: Timer;
  /** Nothing while the first read may tell it all, as it mostly does: then that goes on as it came. */
  readonly #received = new ByteQueue();
  /** The protocol is known, and this is missing of it. */
  #recognised: string | undefined;
  /** Before so many have come there is nothing to see. */
  #neededBytes = 0;
  #decided = false;

  constructor(
    connection: Connection,
    clock: Clock,
    protocols: readonly ServerProtocol[],
    owner: FirstBytesOwner,
  ) {
    this.#connection = connection;
    this.#protocols = protocols;
    this.#owner = owner;
    this.#timer = new PeerTimer(clock, () => this.#expire(), decideWithinMs);
    connection.setHandler(this);
  }

  #expire(): void {
    const missing = this.#recognised ?? "no protocol recognised";
    this.refuse(`${missing} within ${decideWithinMs} ms (${this.#received.length} bytes came)`);
  }

  onData(chunk: Buffer): void {
    if (this.#decided) return;
    const isFirst = this.#received.length === 0;
    if (!isFirst) this.#received.append(chunk);
    const received = isFirst ? chunk : this.#received.bytes;
    if (received.length < this.#neededBytes) return;
    const found = detect(this.#protocols, received);
    if (found.kind === "need-more") {
      this.#recognised = found.recognised;
      if (isFirst) this.#received.append(chunk);
      // A long header that comes a byte at a time is not parsed from its beginning at each.
      this.#neededBytes = Math.min(found.bytes, 2 * received.length);
      return;
    }
    if (found.kind === "refused") {
      this.refuse(found.reason);
      return;
    }
    this.#decide();
    this.#owner.onProtocol(found.protocol, found.variant, received);
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
