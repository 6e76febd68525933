import type { Timer } from "../base/clock.js";
import type { Metadata } from "../base/metadata.js";
import type { Peer, PeerIdentities, ProtocolName } from "../call/peer.js";
import type { ReplySender, ServerCall } from "../call/server-call.js";
import type { RpcError } from "../error/rpc-error.js";
import type { Account } from "./account.js";

/** The credentials in a caller's metadata: the first value of each key that an authenticator reads. */
export type Proof = ReadonlyArray<Buffer | undefined>;

/** What the provider keeps of a caller. */
export interface CallerState {
  /** What it uses of the provider. */
  account: Account;
  /** The account of its connection, which is charged for unread bytes. */
  readonly connectionAccount: Account;
  readonly proof: Proof;
  /** On the provider's clock; `Infinity`: never. */
  expiresMs: number;
  /** By the number of a method: the generation of the policy that allowed it. */
  readonly allowed: number[];
  /** Its calls that stream. */
  streams: Set<ServerCall> | undefined;
  /** Checks its streams again when its token has expired. */
  expiryTimer: Timer | undefined;
  /** Sends its replies, if that is not the connection itself. */
  port: ReplySender | undefined;
  /** Its token must be checked again. */
  stale: boolean;
}

/**
 * A caller on one connection: the connection itself, or one of the tokens used on it. Handlers see it as the peer and may
 * log it, so the token is not one of its properties.
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
   * Whether these metadata have the same credentials. Reads only the entries with those keys, and allocates nothing.
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
