import { readFile } from "node:fs/promises";
import type { TokenSource } from "../auth/settings.js";
import type { Timer } from "../base/clock.js";
import { describeValue } from "../base/options.js";
import { textOf } from "../base/thrown.js";
import type { Attempt, CallCarrier } from "../call/attempt.js";
import { callScope } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { SecretFileCheck } from "../log/secret-file.js";
import type { Runtime } from "../runtime/runtime.js";
import type { ClientAttempt } from "./client-call.js";

/** The token a channel authenticates with. */
export interface Token {
  /** Sent as `authorization: Bearer TOKEN`. */
  readonly token: string;
  /** When it expires, milliseconds since the Unix epoch. Default: never. */
  readonly expiresAtMs?: number | undefined;
}

/** Gets a token: from a file, a metadata server, an identity provider ... Never called concurrently. */
export type Credentials = () => Promise<Token> | Token;

/** A new token is requested when this fraction of the old one's lifetime is left, but at most this long, ms, before it expires. */
const refreshPart = 0.2;
const refreshBeforeMs = 60_000;
/** Delay before the next request after a failure, ms. Meanwhile calls fail with the reason, unless the old token is still valid. */
const retryAfterMs = 1000;
/** A provider of tokens that has not answered by then has failed, ms. */
const answerWithinMs = 10_000;
/** A token file is read again this often, ms, since other programs renew it. */
const fileHoldsMs = 60_000;

const tokenPattern = /^[\x21-\x7e]{1,16384}$/;

/** The token of one channel: one for all its calls, renewed before it expires. Calls wait only while there is none. */
export class ChannelToken implements CallCarrier {
  readonly #runtime: Pick<Runtime, "clock" | "log">;
  readonly #get: Credentials;
  readonly #route: (attempt: ClientAttempt) => void;
  readonly #waiting = new Set<ClientAttempt>();
  #value: string | undefined;
  /** On the runtime's clock. */
  #expiresMs = 0;
  #refreshMs = 0;
  #asking = false;
  #failure: string | undefined;

  /** `route` sends a call that has waited for the token. */
  constructor(
    runtime: Pick<Runtime, "clock" | "log">,
    get: Credentials,
    route: (attempt: ClientAttempt) => void,
  ) {
    this.#runtime = runtime;
    this.#get = get;
    this.#route = route;
  }

  /** The value of `authorization`; undefined while there is no valid token. */
  get authorization(): string | undefined {
    return this.#value;
  }

  /** Whether a call can be sent at once. Also starts the renewal of the token in time. */
  isReady(nowMs: number): boolean {
    if (nowMs >= this.#expiresMs) this.#value = undefined;
    if (nowMs >= this.#refreshMs && !this.#asking) void callScope.outside(() => this.#ask());
    return this.#value !== undefined;
  }

  /** Sends `attempt` on as soon as there is a token, or fails it. */
  hold(attempt: ClientAttempt): void {
    if (!this.#asking) {
      attempt.onFailure(this.#error());
      return;
    }
    attempt.handTo(this, "resolve", () => messages.waitsForToken);
    this.#waiting.add(attempt);
  }

  abandon(attempt: Attempt): boolean {
    this.#waiting.delete(attempt as ClientAttempt);
    return true;
  }

  #error(): RpcError {
    const text = messages.noToken(this.#failure ?? "none was given");
    return new RpcError(Status.UNAUTHENTICATED, text, { executed: "never" });
  }

  async #ask(): Promise<void> {
    const { clock, log } = this.#runtime;
    this.#asking = true;
    let timer: Timer | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        const text = `credentials gave no token within ${answerWithinMs} ms`;
        timer = clock.setTimer(() => reject(new Error(text)), answerWithinMs);
      });
      this.#take(await Promise.race([(async () => this.#get())(), late]));
      this.#failure = undefined;
    } catch (thrown) {
      this.#failure = textOf(thrown);
      this.#refreshMs = clock.now() + retryAfterMs;
      const kept = this.#value === undefined ? "calls fail until there is one" : "the last one still holds";
      log.warn(`a channel got no token, ${kept}: ${this.#failure}`);
    } finally {
      timer?.cancel();
      this.#asking = false;
    }
    this.#goOn();
  }

  /** Throws `TypeError` for an invalid token; the error does not contain it. */
  #take(given: Token): void {
    const { token, expiresAtMs = Infinity } = given ?? {};
    if (typeof token !== "string" || !tokenPattern.test(token)) {
      const found = typeof token === "string" ? "a text that is none" : describeValue(token);
      throw new TypeError(
        `credentials: expected { token, expiresAtMs }, the token of visible ASCII, got ${found}`,
      );
    }
    if (typeof expiresAtMs !== "number" || Number.isNaN(expiresAtMs)) {
      throw new TypeError(`credentials: expected expiresAtMs as a number, got ${describeValue(expiresAtMs)}`);
    }
    const { clock } = this.#runtime;
    const nowMs = clock.now();
    const leftMs = expiresAtMs - clock.wallNow();
    if (leftMs <= 0) throw new Error("credentials gave a token that has expired");
    this.#value = `Bearer ${token}`;
    this.#expiresMs = nowMs + leftMs;
    this.#refreshMs = nowMs + leftMs - Math.min(leftMs * refreshPart, refreshBeforeMs);
  }

  #goOn(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const nowMs = this.#runtime.clock.now();
    for (const attempt of waiting) {
      attempt.nowMs = nowMs;
      if (this.#value === undefined) attempt.onFailure(this.#error());
      else this.#route(attempt);
    }
  }
}

/** The credentials that a conf names. */
export function credentialsOf(
  source: TokenSource,
  { clock, log }: Pick<Runtime, "clock" | "log">,
): Credentials {
  if ("value" in source) return () => ({ token: source.value });
  const mode = new SecretFileCheck("auth.token", source.file, log);
  return async () => {
    mode.look();
    const token = (await readFile(source.file, "utf8")).trim();
    if (!tokenPattern.test(token)) throw new Error(messages.tokenFileWrong(source.file));
    return { token, expiresAtMs: clock.wallNow() + fileHoldsMs };
  };
}
