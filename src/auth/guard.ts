import type { Clock } from "../base/clock.js";
import { Metadata } from "../base/metadata.js";
import { describeValue } from "../base/options.js";
import { PeerTimer } from "../base/peer-timer.js";
import { isOf, textOf } from "../base/thrown.js";
import type { CallEmitter } from "../call/events.js";
import type { Peer } from "../call/peer.js";
import type { BoundMethod, ServerCall } from "../call/server-call.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, statusName } from "../error/status.js";
import { LimitedLog } from "../log/limited-log.js";
import type { Logger } from "../log/logger.js";
import type { Account, Accounts } from "./account.js";
import { AuditLog, describeCaller } from "./audit.js";
import { AuthCheck } from "./auth-check.js";
import {
  type Authenticator,
  type AuthenticatorWithKeys,
  authorizationKey,
  type TokenIdentity,
} from "./authenticator.js";
import { Caller, type Proof } from "./caller.js";
import { type CheckPlace, CheckPlaces } from "./check-places.js";
import { identityMaxLength, isIdentity, kindOf, transportKinds } from "./identity.js";
import type { Policy } from "./policy.js";

/** Most bytes of the credentials of a call, all keys together. */
const proofMaxBytes = 32 * 1024;

/** A connection that remembers tokens. */
export interface TokenHolder {
  /** All tokens must be checked again at their next call. */
  forgetTokens(): void;
}

export interface GuardParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: CallEmitter;
  readonly accounts: Accounts;
  readonly policy: Policy;
  readonly authenticators: readonly Authenticator[];
  readonly checkTimeoutMs: number;
}

/** Shared by all connections of a provider: its policy, its authenticators, and the streams to check again. */
export class Guard {
  /** The metadata keys of credentials. */
  readonly keys: readonly string[];
  /** Everybody may call everything, and tokens are ignored. */
  open: boolean;
  /** The number of policies so far. */
  generation = 1;
  #numbers = 0;
  readonly #places: CheckPlaces;
  /** How often earlier answers have become void. */
  #answers = 0;
  /** Callers with streams whose tokens are checked again as soon as fewer are being checked. */
  readonly #toCheckAgain = new Set<Caller>();
  #policy: Policy;
  readonly #parts: GuardParts;
  readonly #authenticators: readonly AuthenticatorWithKeys[];
  readonly #audit: AuditLog;
  readonly #failures: LimitedLog;
  readonly #gates = new Set<TokenHolder>();
  /** Callers with streams. */
  readonly #streaming = new Set<Caller>();

  constructor(parts: GuardParts) {
    this.#parts = parts;
    this.#policy = parts.policy;
    this.#authenticators = parts.authenticators.map((one) =>
      typeof one === "function" ? { authenticate: one, keys: [authorizationKey] } : one,
    );
    const keys = this.#authenticators.flatMap((one) => one.keys.map((key) => key.toLowerCase()));
    this.keys = [...new Set(keys)];
    this.open = parts.policy.isEmpty && keys.length === 0;
    this.#audit = new AuditLog(parts.clock, parts.log);
    this.#failures = new LimitedLog(
      parts.clock,
      parts.log,
      (more) => `an authenticator failed: ${more} more`,
    );
    this.#places = new CheckPlaces(
      parts.clock,
      () => this.#checkNext(),
      () => this.#failures.error(messages.authenticatorLost, {}),
    );
  }

  get policy(): Policy {
    return this.#policy;
  }

  now(): number {
    return this.#parts.clock.now();
  }

  /** Sets another policy; streams it does not allow end. */
  setPolicy(policy: Policy): void {
    this.#policy = policy;
    this.generation++;
    this.open = policy.isEmpty && this.keys.length === 0;
    for (const caller of [...this.#streaming]) this.#judgeStreams(caller);
  }

  /** The keys or tokens of authenticators have changed: their earlier answers are void. */
  forgetTokens(): void {
    this.#answers++;
    for (const gate of [...this.#gates]) gate.forgetTokens();
    for (const caller of [...this.#streaming]) {
      if (caller.identities.token !== undefined) this.#checkAgain(caller);
    }
  }

  close(): void {
    this.#audit.close();
    this.#failures.close();
    for (const caller of this.#streaming) caller.state.expiryTimer?.cancel();
  }

  // --- policy ---

  /** `caller` if it may call that method, which is cached in it; else the reason, which is logged. */
  judge(caller: Caller, bound: BoundMethod): Caller | RpcError {
    const { service, name } = bound.definition;
    if (this.#policy.allows(service, name, caller)) {
      if (bound.number === 0) bound.number = ++this.#numbers;
      caller.state.allowed[bound.number] = this.generation;
      return caller;
    }
    return this.#deny(caller, bound);
  }

  #deny(caller: Caller, bound: BoundMethod): RpcError {
    const { identities, protocol } = caller;
    const method = `${bound.definition.service}/${bound.definition.name}`;
    const nobody = identities.transport === undefined && identities.token === undefined;
    const error =
      nobody && protocol !== "classic"
        ? new RpcError(Status.UNAUTHENTICATED, messages.identityNeeded(method), { executed: "never" })
        : new RpcError(Status.PERMISSION_DENIED, messages.notAllowed(method, describeCaller(caller)), {
            executed: "never",
          });
    this.#tell(method, caller, error);
    return error;
  }

  #tell(method: string, peer: Peer, error: RpcError, reason = String(error.rawMessage)): void {
    const { events } = this.#parts;
    this.#audit.denied(method, peer, statusName(error.code), reason);
    if (events.has("callDenied")) events.emit("callDenied", { method, peer, code: error.code, error });
  }

  // --- streams ---

  /** A stream has begun: it is checked again when its token expires and when the policy changes. */
  onStreamStart(call: ServerCall): void {
    const { peer } = call;
    if (!(peer instanceof Caller)) return;
    if (peer.state.streams === undefined) {
      peer.state.streams = new Set();
      this.#streaming.add(peer);
      this.#watchExpiry(peer);
    }
    peer.state.streams.add(call);
    // The policy may have changed while its token was checked.
    if (this.#policy.allows(call.method.service, call.method.name, peer)) return;
    call.cancel(this.#deny(peer, call.bound));
  }

  onStreamEnd(call: ServerCall): void {
    const { peer } = call;
    if (!(peer instanceof Caller) || !peer.state.streams?.delete(call) || peer.state.streams.size > 0) return;
    peer.state.streams = undefined;
    peer.state.expiryTimer?.cancel();
    this.#streaming.delete(peer);
  }

  #watchExpiry(caller: Caller): void {
    if (caller.state.expiresMs === Infinity) return;
    caller.state.expiryTimer = this.#parts.clock.setTimer(
      () => {
        if (caller.state.expiresMs > this.now()) this.#watchExpiry(caller);
        else this.#checkAgain(caller);
      },
      Math.max(0, caller.state.expiresMs - this.now()),
    );
  }

  #judgeStreams(caller: Caller): void {
    for (const call of [...(caller.state.streams ?? [])]) {
      const { service, name } = call.method;
      if (this.#policy.allows(service, name, caller)) continue;
      call.cancel(this.#deny(caller, call.bound));
    }
  }

  /** Whether the token of open streams still has the same identity. */
  #checkAgain(caller: Caller): void {
    if (!this.#places.freeForStreams) {
      this.#toCheckAgain.add(caller);
      return;
    }
    const { proof } = caller.state;
    // This check is never left: the streams are handled here.
    this.#check(caller, proof, this.#places.take(undefined, ignore), (outcome) => {
      if (outcome instanceof Caller) {
        this.release(outcome);
        if (outcome.identities.token === caller.identities.token) {
          caller.state.expiresMs = outcome.state.expiresMs;
          caller.state.expiryTimer?.cancel();
          if (caller.state.streams !== undefined) this.#watchExpiry(caller);
          return;
        }
      }
      this.#endStreams(caller);
    });
  }

  #checkNext(): void {
    for (const caller of this.#toCheckAgain) {
      if (!this.#places.freeForStreams) return;
      this.#toCheckAgain.delete(caller);
      if (caller.state.streams !== undefined) this.#checkAgain(caller);
    }
  }

  #endStreams(caller: Caller): void {
    for (const call of [...(caller.state.streams ?? [])]) call.cancel(this.refuseVoid(caller, call.bound));
  }

  // --- tokens ---

  /** Its token is that of nobody any more, or of somebody else. */
  refuseVoid(caller: Caller, { definition: { service, name } }: BoundMethod): RpcError {
    const error = new RpcError(Status.UNAUTHENTICATED, messages.tokenExpiredInCall);
    this.#tell(`${service}/${name}`, caller, error);
    return error;
  }

  /** The gate has cached tokens. */
  hold(gate: TokenHolder): void {
    this.#gates.add(gate);
  }

  leave(gate: TokenHolder): void {
    this.#gates.delete(gate);
  }

  /** The gate has no cached tokens any more. */
  release(caller: Caller): void {
    this.#parts.accounts.close(caller.state.account, this.now());
  }

  /**
   * Finds the identity behind `proof`, which arrived on the connection of `base`. The check ends within `checkTimeoutMs`; `onReturned`
   * comes when no authenticator looks at it any more, which may be later.
   */
  authenticate(
    base: Caller,
    proof: Proof,
    onSettled: (outcome: Caller | RpcError) => void,
    onReturned: () => void,
  ): AuthCheck | RpcError {
    let bytes = 0;
    for (const one of proof) bytes += one?.length ?? 0;
    if (bytes > proofMaxBytes)
      return new RpcError(Status.UNAUTHENTICATED, messages.tokenTooLong(proofMaxBytes));
    const { connectionAccount } = base.state;
    const refusal = this.#places.refusal(connectionAccount);
    if (refusal !== undefined) return refusal;
    const { accounts } = this.#parts;
    // Reconnecting must not make it forget the authenticators that still run.
    const account = accounts.open(connectionAccount.name, this.now());
    const place = this.#places.take(account, () => {
      accounts.close(account, this.now());
      onReturned();
    });
    return this.#check(base, proof, place, onSettled);
  }

  #check(
    base: Caller,
    proof: Proof,
    place: CheckPlace,
    onSettled: (outcome: Caller | RpcError) => void,
  ): AuthCheck {
    const { clock, checkTimeoutMs } = this.#parts;
    const onTimeout = (): void =>
      check.settle(new RpcError(Status.UNAVAILABLE, messages.checkTookTooLong(checkTimeoutMs)));
    // An authenticator may ask another process.
    const timer = new PeerTimer(clock, onTimeout, checkTimeoutMs);
    const check = new AuthCheck((outcome) => {
      timer.cancel();
      place.abandon();
      onSettled(outcome);
    });
    const ask = (): void => {
      const answers = this.#answers;
      void this.#ask(base, proof, check.signal).then((outcome) => {
        const known = outcome instanceof Caller;
        const isVoid = known && answers !== this.#answers;
        if (known && (isVoid || check.outcome !== undefined)) this.release(outcome);
        // The keys have changed while the token was checked by the old ones.
        if (isVoid && check.outcome === undefined) ask();
        else {
          place.free();
          check.settle(outcome);
        }
      });
    };
    ask();
    return check;
  }

  /** Never rejects. */
  async #ask(base: Caller, proof: Proof, signal: AbortSignal): Promise<Caller | RpcError> {
    const { address, protocol, identities } = base;
    const { transport } = identities;
    const peer: Peer = { address, protocol, identities: transport === undefined ? {} : { transport } };
    try {
      for (const { authenticate, keys } of this.#authenticators) {
        const metadata = this.#metadataOf(keys, proof);
        if (metadata.size === 0) continue;
        const found = await authenticate(metadata, peer, signal);
        if (found !== undefined && found !== null) return this.#callerOf(base, peer, proof, found);
      }
    } catch (thrown) {
      if (isOf(thrown, RpcError)) return this.#refused(peer, thrown, proof);
      const reason = withoutProof(textOf(thrown), proof);
      this.#failures.error(`an authenticator failed: ${reason}`, { peer: address });
      return new RpcError(Status.UNAVAILABLE, messages.checkFailed);
    }
    return this.#refused(peer, new RpcError(Status.UNAUTHENTICATED, messages.tokenUnknown), proof);
  }

  #refused(peer: Peer, error: RpcError, proof: Proof): RpcError {
    const refused = error.with({}, "never");
    this.#tell("any method", peer, refused, withoutProof(String(error.rawMessage), proof));
    return refused;
  }

  /** The metadata that one authenticator may see. Its answers are cached by it, so they must depend on nothing else. */
  #metadataOf(keys: readonly string[], proof: Proof): Metadata {
    const metadata = new Metadata();
    for (const key of keys) {
      const value = proof[this.keys.indexOf(key.toLowerCase())];
      if (value !== undefined) metadata.append(key, value.toString("utf8"));
    }
    return metadata;
  }

  #callerOf(base: Caller, peer: Peer, proof: Proof, found: TokenIdentity | string): Caller {
    const { name, expiresAtMs = Infinity } = typeof found === "string" ? { name: found } : found;
    if (typeof name === "string" && name.length > identityMaxLength) {
      throw new RpcError(Status.UNAUTHENTICATED, messages.identityTooLong(name.length, identityMaxLength));
    }
    if (!isIdentity(name) || transportKinds.includes(kindOf(name)) || Number.isNaN(Number(expiresAtMs))) {
      throw new TypeError(messages.notATokenIdentity(describeValue(name)));
    }
    const { clock, accounts } = this.#parts;
    const nowMs = clock.now();
    const expiresMs = expiresAtMs === Infinity ? Infinity : nowMs + (expiresAtMs - clock.wallNow());
    if (expiresMs <= nowMs) throw new RpcError(Status.UNAUTHENTICATED, messages.tokenExpired);
    const own: Account = accounts.open(name, nowMs);
    const identities = { ...peer.identities, token: name };
    return new Caller(
      { ...peer, identities },
      { own, connection: base.state.connectionAccount },
      proof,
      expiresMs,
    );
  }
}

function ignore(): void {}

/** The error text of a failed authenticator may contain the token. */
function withoutProof(text: string, proof: Proof): string {
  let masked = text;
  for (const one of proof) {
    for (const word of one?.toString("utf8").split(/\s+/) ?? []) {
      if (word.length >= 8) masked = masked.replaceAll(word, "***");
    }
  }
  return masked;
}
