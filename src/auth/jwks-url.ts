import type { JSONWebKeySet, JWKSCacheInput, JWTVerifyGetKey } from "jose";
import type { Clock, Timer } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import type { Logger } from "../log/logger.js";

type Jose = typeof import("jose");

/** The keys are fetched again this often, ms, if nothing else is configured. */
export const jwksRefreshMs = 300_000;
/** After a failed fetch, the next one is made after this, ms, if that is sooner. */
const retryMs = 30_000;
/** So many intervals after the last fetch that succeeded, tokens that are not known yet fail. */
const holdsIntervals = 2;

/**
 * The public keys of an issuer, by URL: fetched for the first token, then again and again, so that a key that the issuer takes out is known
 * within the interval. If they cannot be fetched, those fetched last stay in force for a while.
 */
export class FetchedKeys {
  readonly #remote: ReturnType<Jose["createRemoteJWKSet"]>;
  /** jose puts the set in here that a fetch has brought: a new object each time. */
  readonly #last: JWKSCacheInput = {};
  readonly #name: string;
  readonly #parts: { readonly clock: Clock; readonly log: Logger };
  readonly #refreshMs: number;
  readonly #onRemoved: () => void;
  /** The set that `#known` is of. */
  #compared: JSONWebKeySet | undefined;
  #known: ReadonlySet<string> = new Set();
  #timer: Timer | undefined;
  /** The failure reported last: a lasting one is reported once. */
  #told: string | undefined;
  #closed = false;

  /** `onRemoved`: a key was taken out or changed. */
  constructor(
    jose: Jose,
    url: URL,
    parts: { readonly clock: Clock; readonly log: Logger },
    refreshMs: number,
    onRemoved: () => void,
  ) {
    this.#remote = jose.createRemoteJWKSet(url, {
      cacheMaxAge: refreshMs * holdsIntervals,
      [jose.jwksCache]: this.#last,
    });
    this.#name = url.origin + url.pathname;
    this.#parts = parts;
    this.#refreshMs = refreshMs;
    this.#onRemoved = onRemoved;
    this.#fetchLater(refreshMs);
  }

  /** Finds the key of a token. It may fetch the keys, for one it does not know too. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#remote(header, token);
    } finally {
      this.#compare();
    }
  };

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #fetchLater(afterMs: number): void {
    this.#timer = this.#parts.clock.setTimer(() => void this.#fetch(), afterMs);
  }

  async #fetch(): Promise<void> {
    let afterMs = this.#refreshMs;
    try {
      // Nobody has shown a token yet.
      if (this.#last.jwks !== undefined) await this.#remote.reload();
      this.#told = undefined;
    } catch (error) {
      afterMs = Math.min(retryMs, afterMs);
      const text = textOf(error);
      if (text !== this.#told && !this.#closed) {
        this.#parts.log.error(
          `the keys of ${this.#name} cannot be fetched, the last ones stay in force: ${text}`,
        );
      }
      this.#told = text;
    }
    if (this.#closed) return;
    this.#compare();
    this.#fetchLater(afterMs);
  }

  /** Strangers choose how often a token is checked, so after a check the keys are looked at only if they were fetched since. */
  #compare(): void {
    const { jwks } = this.#last;
    if (jwks === undefined || jwks === this.#compared) return;
    this.#compared = jwks;
    const now = new Set(jwks.keys.map((key) => JSON.stringify(Object.entries(key).sort())));
    const removed = [...this.#known].some((key) => !now.has(key));
    this.#known = now;
    if (!removed || this.#closed) return;
    this.#parts.log.info(`${this.#name} has other keys: tokens that were accepted are checked again`);
    this.#onRemoved();
  }
}
