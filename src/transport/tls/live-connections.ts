import type { Clock, Timer } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Logger } from "../../log/logger.js";
import type { TlsCredentials } from "./credentials.js";
import type { TlsMaterial } from "./material.js";
import type { TlsConnection } from "./tls-connection.js";
import { whyDistrusted } from "./trust.js";

/** How often the dates are looked at, ms, if none ends sooner: the wall clock may be set. */
const lookEveryMs = 60_000;

/** The open connections of one set of credentials: after a change they are checked like new ones, and their certificates end. */
export class LiveConnections {
  readonly #open = new Set<TlsConnection>();
  readonly #credentials: TlsCredentials;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #cutAfterMs: number;
  /** By which the open connections are trusted. */
  #trustText: string;
  #look: Timer | undefined;
  #lookAtMs = 0;

  /** `cutAfterMs`: how long calls in flight may go on after the other side is no longer trusted. */
  constructor(credentials: TlsCredentials, clock: Clock, log: Logger, cutAfterMs: number) {
    this.#credentials = credentials;
    this.#clock = clock;
    this.#log = log;
    this.#cutAfterMs = cutAfterMs;
    this.#trustText = credentials.material.trustText;
    credentials.onReload(() => {
      const before = this.#trustText;
      this.#trustText = credentials.material.trustText;
      for (const connection of [...this.#open]) this.#judge(connection, before);
    });
  }

  /** `material`: the one used in the handshake, perhaps older than the last change. */
  add(connection: TlsConnection, material: TlsMaterial): void {
    this.#open.add(connection);
    connection.socket.once("close", () => this.#open.delete(connection));
    if (material !== this.#credentials.material) this.#judge(connection, material.trustText);
    this.#lookBy(connection.certifiedUntilMs);
  }

  /** Looks at the dates then, or sooner. */
  #lookBy(untilMs: number | undefined): void {
    if (untilMs === undefined) return;
    const nowMs = this.#clock.now();
    const leftMs = Math.min(Math.max(0, untilMs - this.#clock.wallNow()), lookEveryMs);
    if (this.#look !== undefined && this.#lookAtMs <= nowMs + leftMs) return;
    this.#look?.cancel();
    this.#lookAtMs = nowMs + leftMs;
    this.#look = this.#clock.setTimer(() => this.#lookAtDates(), leftMs);
  }

  #lookAtDates(): void {
    this.#look = undefined;
    const nowMs = this.#clock.wallNow();
    let next: number | undefined;
    for (const connection of [...this.#open]) {
      const { certifiedUntilMs: untilMs } = connection;
      if (untilMs === undefined) continue;
      if (untilMs <= nowMs) this.#end(connection, messages.certificateExpired);
      else next = Math.min(untilMs, next ?? untilMs);
    }
    this.#lookBy(next);
  }

  /** `trusted`: the authorities and revocations by which it was accepted. */
  #judge(connection: TlsConnection, trusted: string): void {
    const { material } = this.#credentials;
    const { identity } = connection.security;
    let why: string | undefined;
    if (identity?.startsWith("secret:") === true) why = this.#whySecretDistrusted(connection);
    // A resumed connection has no intermediate certificates of the other side, and so cannot always be judged again. Our own
    // certificate is changed far more often than those that we trust.
    else if (trusted !== material.trustText) {
      why = whyDistrusted(connection, material, this.#clock.wallNow());
    }
    if (why !== undefined) this.#end(connection, why);
  }

  #end(connection: TlsConnection, why: string): void {
    this.#open.delete(connection);
    const reason = messages.distrusted(why);
    this.#log.warn(`TLS connection ended: ${reason}`, { peer: connection.remote });
    // New connections are checked by the handshake; calls in flight on this one may end.
    if (connection.onDistrusted !== undefined) connection.onDistrusted(reason);
    // It has not said what it speaks, and so nobody serves it yet: it is not served at all.
    else connection.turnedAway ??= reason;
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
