import type { Clock, Timer } from "../base/clock.js";
import { messages } from "../error/messages.js";
import type { ClientSession } from "../protocol/protocol.js";

/**
 * Connections made in doubt, until the provider has said a word on them: the system of a process that stands still
 * accepts connections as well.
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
    this.#timers.set(connection, this.#clock.setTimer(onTimeout, this.#timeoutMs));
  }

  /** The word has come, or the connection is closed. */
  end(connection: ClientSession): void {
    this.#timers.get(connection)?.cancel();
    this.#timers.delete(connection);
  }
}
