import type { Clock, Timer } from "../base/clock.js";
import { PeerTimer } from "../base/peer-timer.js";
import { messages } from "../error/messages.js";
import type { ClientSession } from "../protocol/protocol.js";

/**
 * Connections to a provider in doubt, until the first frame from it: the system accepts connections for a frozen process
 * as well.
 */
export class Probation {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #timers = new Map<ClientSession, Timer>();

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Closes `connection` unless `end` comes in time. */
  begin(connection: ClientSession): void {
    const onTimeout = (): void => connection.close(messages.nothingCame(this.#timeoutMs));
    this.#timers.set(connection, new PeerTimer(this.#clock, onTimeout, this.#timeoutMs));
  }

  /** The first frame has arrived, or the connection is closed. */
  end(connection: ClientSession): void {
    this.#timers.get(connection)?.cancel();
    this.#timers.delete(connection);
  }
}
