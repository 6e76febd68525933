import type { Clock, Timer } from "../base/clock.js";
import type { Connection, ConnectionHandler } from "../transport/transport.js";
import { type ClassicDialect, detectProtocol } from "../wire/classic.js";

/** How long a caller may take to show what it speaks. */
const decideWithinMs = 5000;

export interface FirstBytesOwner {
  /** `first` is what has arrived; the new owner takes the connection and these bytes. */
  onProtocol(protocol: "mprpc" | ClassicDialect, first: Buffer): void;
  /** Closed already; `reason` says why it was refused, or that the caller left. */
  onRefused(reason: string): void;
}

/** Owns a new connection until its first bytes tell the protocol, or for 5 s. */
export class FirstBytes implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #owner: FirstBytesOwner;
  readonly #timer: Timer;
  #received: Buffer = Buffer.alloc(0);
  #decided = false;

  constructor(connection: Connection, clock: Clock, owner: FirstBytesOwner) {
    this.#connection = connection;
    this.#owner = owner;
    this.#timer = clock.setTimer(() => {
      const { length } = this.#received;
      this.refuse(`no protocol recognised within ${decideWithinMs} ms (${length} bytes came)`);
    }, decideWithinMs);
    connection.setHandler(this);
  }

  onData(chunk: Buffer): void {
    if (this.#decided) return;
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const detection = detectProtocol(this.#received);
    if (detection.kind === "need-more") return;
    if (detection.kind === "refused") {
      this.refuse(detection.reason);
      return;
    }
    this.#decide();
    this.#owner.onProtocol(detection.kind === "mprpc" ? "mprpc" : detection.dialect, this.#received);
  }

  onEnd(): void {
    this.refuse(
      this.#received.length === 0 ? "the caller left without a word" : "the caller left in mid-header",
    );
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    if (this.#decided) return;
    this.#decide();
    this.#owner.onRefused(error?.message ?? "the caller left without a word");
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
