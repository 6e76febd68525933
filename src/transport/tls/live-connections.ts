import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Logger } from "../../log/logger.js";
import type { TlsCredentials } from "./credentials.js";
import type { TlsMaterial } from "./material.js";
import type { TlsConnection } from "./tls-connection.js";
import { whyDistrusted } from "./trust.js";

/** The open connections of one set of credentials: after a change they are checked like new ones. */
export class LiveConnections {
  readonly #open = new Set<TlsConnection>();
  readonly #credentials: TlsCredentials;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #cutAfterMs: number;

  /** `cutAfterMs`: how long calls in flight may go on after the other side is no longer trusted. */
  constructor(credentials: TlsCredentials, clock: Clock, log: Logger, cutAfterMs: number) {
    this.#credentials = credentials;
    this.#clock = clock;
    this.#log = log;
    this.#cutAfterMs = cutAfterMs;
    credentials.onReload(() => {
      for (const connection of [...this.#open]) this.#judge(connection);
    });
  }

  /** `material`: the one used in the handshake, perhaps older than the last change. */
  add(connection: TlsConnection, material: TlsMaterial): void {
    this.#open.add(connection);
    connection.socket.once("close", () => this.#open.delete(connection));
    if (material !== this.#credentials.material) this.#judge(connection);
  }

  #judge(connection: TlsConnection): void {
    const { material } = this.#credentials;
    const { identity } = connection.security;
    const isSecret = identity?.startsWith("secret:") === true;
    const why = isSecret
      ? this.#whySecretDistrusted(connection)
      : whyDistrusted(connection, material, this.#clock.wallNow());
    if (why === undefined) return;
    const reason = messages.distrusted(why);
    this.#log.warn(`TLS connection ended: ${reason}`, { peer: connection.remote });
    // New connections are checked by the handshake; calls in flight on this one may end.
    connection.onDistrusted?.(reason);
    this.#clock.setTimer(() => {
      if (!connection.closed) connection.destroy(new Error(reason));
    }, this.#cutAfterMs);
  }

  #whySecretDistrusted({ secretKey, security }: TlsConnection): string | undefined {
    const name = security.identity?.slice("secret:".length) ?? "";
    const key = this.#credentials.material.secrets?.get(name);
    return key !== undefined && secretKey?.equals(key) === true ? undefined : messages.secretWithdrawn;
  }
}
