import type { Metadata } from "../base/metadata.js";
import type { Peer } from "../call/peer.js";

/** Who a token speaks for. */
export interface TokenIdentity {
  /** With its kind in front: `jwt:https://idp.example.com#alice`. The kinds of the transport are refused. */
  readonly name: string;
  /** Until when it holds, milliseconds since the Unix epoch; the token is checked anew after. Default: as long as the connection. */
  readonly expiresAtMs?: number | undefined;
}

/**
 * Says who sent a token. `metadata` holds the entries of the call that prove something (`keys`) and no others; `signal` is aborted when
 * no call waits for the answer any more. Gives `undefined` for what it knows nothing of. What it rejects with: an `RpcError` goes
 * to the caller as it is, anything else ends the call UNAVAILABLE and is logged. Asked once for each token of a connection, until it expires.
 */
export type Authenticate = (
  metadata: Metadata,
  peer: Peer,
  signal: AbortSignal,
) => Promise<TokenIdentity | string | undefined>;

/** An authenticator with the metadata keys it reads, when they are others than `authorization`. */
export interface AuthenticatorWithKeys {
  readonly authenticate: Authenticate;
  /** The metadata it is given, and what its answers are remembered by. */
  readonly keys: readonly string[];
}

export type Authenticator = Authenticate | AuthenticatorWithKeys;

/** Where tokens travel. */
export const authorizationKey = "authorization";

/** The token of `authorization: Bearer TOKEN`. */
export function bearerToken(metadata: Metadata): string | undefined {
  const text = metadata.getText(authorizationKey);
  return text === undefined ? undefined : /^bearer +(\S+)$/i.exec(text)?.[1];
}
