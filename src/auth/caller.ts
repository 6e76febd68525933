import type { Timer } from "../base/clock.js";
import type { Metadata } from "../base/metadata.js";
import type { Peer, PeerIdentities, ProtocolName } from "../call/peer.js";
import type { ReplySender, ServerCall } from "../call/server-call.js";
import type { RpcError } from "../error/rpc-error.js";
import type { Account } from "./account.js";

/** What of a caller's metadata proves who it is: the first value of each key that an authenticator reads. */
export type Proof = ReadonlyArray<Buffer | undefined>;

/** What the provider keeps of a caller. */
export interface CallerState {
  /** What it takes of the provider. */
  readonly account: Account;
  /** The same of its connection, to which what it leaves unread is put down. */
  readonly connectionAccount: Account;
  readonly proof: Proof;
  /** On the provider's clock; `Infinity`: never. */
  expiresMs: number;
  /** By the number of a method: the generation of the policy by which it may be called. */
  readonly allowed: number[];
  /** Its calls that stream. */
  streams: Set<ServerCall> | undefined;
  /** Looks at its streams when its token has expired. */
  expiryTimer: Timer | undefined;
  /** What sends its replies, where that is not the connection itself. */
  port: ReplySender | undefined;
  /** Its token is to be checked anew. */
  stale: boolean;
}

/**
 * Somebody who calls on one connection: the connection itself, or one of the tokens that come on it. Handlers see it as the peer, and may
 * log it: its token is none of its properties.
 */
export class Caller implements Peer {
  readonly address: string;
  readonly protocol: ProtocolName;
  readonly identities: PeerIdentities;
  readonly #state: CallerState;

  constructor(
    peer: Peer,
    accounts: { readonly own: Account; readonly connection: Account },
    proof: Proof,
    expiresMs: number,
  ) {
    this.address = peer.address;
    this.protocol = peer.protocol;
    this.identities = peer.identities;
    this.#state = {
      ...{ account: accounts.own, connectionAccount: accounts.connection, proof, expiresMs },
      ...{ allowed: [], streams: undefined, expiryTimer: undefined, port: undefined, stale: false },
    };
  }

  /** @internal */
  get state(): CallerState {
    return this.#state;
  }

  /**
   * Whether these metadata prove the same. Reads nothing of them but the entries with those keys, and makes nothing.
   *
   * @internal
   */
  isProvedBy(metadata: Metadata, keys: readonly string[]): boolean {
    for (let i = 0; i < keys.length; i++) {
      if (!metadata.firstIs(keys[i] as string, this.#state.proof[i])) return false;
    }
    return true;
  }
}

/** Sends the replies of a connection's calls to one of its callers that is not the connection itself. */
export class CallerPort implements ReplySender {
  peer: Peer;
  readonly #connection: ReplySender;

  constructor(connection: ReplySender, peer: Peer) {
    this.#connection = connection;
    this.peer = peer;
  }

  get draining(): boolean {
    return this.#connection.draining;
  }

  reply(call: ServerCall, message: unknown): RpcError | undefined {
    return this.#connection.reply(call, message);
  }

  fail(call: ServerCall, error: RpcError): void {
    this.#connection.fail(call, error);
  }

  onDetached(by: 1 | -1): void {
    this.#connection.onDetached(by);
  }
}
