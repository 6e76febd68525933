import { createHash } from "node:crypto";
import type { Metadata } from "../base/metadata.js";
import type { BoundMethod, ReplySender } from "../call/server-call.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { AuthCheck } from "./auth-check.js";
import { Caller, CallerPort, type Proof } from "./caller.js";
import type { Guard, TokenHolder } from "./guard.js";

/** Tokens cached per connection; the least recently used one is dropped. */
const tokensMax = 256;
/** Authenticators that run at a time for the tokens of one connection. */
const checksMax = 64;

/** Decides on one connection who makes a call, and whether it may. */
export class CallGate implements TokenHolder {
  /** The connection itself: the caller of calls without a token. */
  readonly caller: Caller;
  readonly #guard: Guard;
  readonly #onClose: () => void;
  /** The caller of the last call, since most connections have a single caller. */
  #last: Caller;
  /** Callers by their proof, in the order of their use. */
  #tokens: Map<string, Caller> | undefined;
  #checks: Map<string, AuthCheck> | undefined;
  /** Authenticators that have not returned, those among them whose calls have been given up as well. */
  #running = 0;
  #closed = false;

  /** `onClose`: the connection is gone. */
  constructor(guard: Guard, caller: Caller, onClose: () => void) {
    this.#guard = guard;
    this.#onClose = onClose;
    this.caller = caller;
    this.#last = caller;
  }

  /** Everybody may call everything, and tokens are ignored: `check` need not be called. */
  get open(): boolean {
    return this.#guard.open;
  }

  /**
   * Returns the caller of a call if it may be made, or the reason why not, or the check of its token, to be followed by `judge`.
   * Called before the body of the call is decoded.
   */
  check(bound: BoundMethod, metadata: Metadata | undefined): Caller | AuthCheck | RpcError {
    const guard = this.#guard;
    let caller = this.#last;
    if (metadata === undefined || guard.keys.length === 0) caller = this.caller;
    else if (caller.state.stale || !caller.isProvedBy(metadata, guard.keys)) {
      if (this.caller.isProvedBy(metadata, guard.keys)) caller = this.caller;
      else {
        const found = this.#find(guard.keys.map((key) => metadata.getBytes(key)));
        if (!(found instanceof Caller)) return found;
        caller = found;
      }
      this.#last = caller;
    }
    if (this.#hasExpired(caller)) {
      this.forget(caller);
      return this.check(bound, metadata);
    }
    return this.judge(caller, bound);
  }

  /**
   * The same for a call of `caller` that was taken in some time ago, when the rest of its request has come: rules and tokens may have
   * changed since. A check is to be followed by `judgeAgain`.
   */
  checkAgain(caller: Caller, bound: BoundMethod): Caller | AuthCheck | RpcError {
    if (this.#guard.open) return caller;
    if (!caller.state.stale) {
      if (!this.#hasExpired(caller)) return this.judge(caller, bound);
      this.forget(caller);
    }
    const found = this.#find(caller.state.proof);
    return found instanceof Caller ? this.judgeAgain(caller, found, bound) : found;
  }

  /** `caller`, of whose token `found` is what the check has found now, if it is still the same and may call that method. */
  judgeAgain(caller: Caller, found: Caller, bound: BoundMethod): Caller | RpcError {
    if (found.identities.token !== caller.identities.token) return this.#guard.refuseVoid(caller, bound);
    // Nobody has used its account since, if it is another one now.
    caller.state.account = found.state.account;
    caller.state.expiresMs = found.state.expiresMs;
    return this.judge(caller, bound);
  }

  /** `caller` if it may call that method, else the reason. */
  judge(caller: Caller, bound: BoundMethod): Caller | RpcError {
    if (caller.state.allowed[bound.number] === this.#guard.generation) return caller;
    return this.#guard.judge(caller, bound);
  }

  /** What sends the replies to `caller`. */
  portOf(caller: Caller, connection: ReplySender): ReplySender {
    if (caller === this.caller) return connection;
    caller.state.port ??= new CallerPort(connection, caller);
    return caller.state.port;
  }

  #hasExpired({ state: { expiresMs } }: Caller): boolean {
    return expiresMs !== Infinity && expiresMs <= this.#guard.now();
  }

  #find(proof: Proof): Caller | AuthCheck | RpcError {
    const key = keyOf(proof);
    const known = this.#tokens?.get(key);
    if (known !== undefined && this.#hasExpired(known)) this.forget(known);
    else if (known !== undefined) {
      this.#tokens?.delete(key);
      this.#tokens?.set(key, known);
      return known;
    }
    const running = this.#checks?.get(key);
    if (running !== undefined) return running;
    this.#checks ??= new Map();
    if (this.#running >= checksMax) {
      return new RpcError(Status.RESOURCE_EXHAUSTED, messages.tooManyChecksOnConnection(checksMax));
    }
    const check = this.#guard.authenticate(
      this.caller,
      proof,
      (outcome) => {
        this.#checks?.delete(key);
        if (outcome instanceof Caller) this.#remember(key, outcome);
      },
      () => this.#running--,
    );
    if (check instanceof AuthCheck) {
      this.#running++;
      this.#checks.set(key, check);
    }
    return check;
  }

  #remember(key: string, caller: Caller): void {
    if (this.#closed) {
      this.#guard.release(caller);
      return;
    }
    this.#tokens ??= new Map();
    for (const old of this.#tokens.values()) {
      if (this.#tokens.size < tokensMax) break;
      // Whoever is not listed here is not told when its token becomes void.
      this.forget(old);
    }
    this.#tokens.set(key, caller);
    this.#guard.hold(this);
  }

  /** Its token is checked again at its next call. */
  forget(caller: Caller): void {
    caller.state.stale = true;
    if (this.#last === caller) this.#last = this.caller;
    if (this.#tokens?.delete(keyOf(caller.state.proof))) this.#guard.release(caller);
  }

  /** All tokens are checked again at their next call. */
  forgetTokens(): void {
    for (const caller of [...(this.#tokens?.values() ?? [])]) this.forget(caller);
  }

  /** The connection is closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.forgetTokens();
    this.#guard.leave(this);
    this.#onClose();
  }
}

/** A hash, so that a long token is not stored again. */
function keyOf(proof: Proof): string {
  const hash = createHash("sha256");
  for (const one of proof) {
    hash.update(one === undefined ? "-" : `${one.length} `);
    if (one !== undefined) hash.update(one);
  }
  return hash.digest("base64");
}
