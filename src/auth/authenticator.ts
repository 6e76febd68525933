import type { Metadata } from "../base/metadata.js";
import type { Peer } from "../call/peer.js";

/** The identity behind a token. */
export interface TokenIdentity {
  /** The identity, beginning with its kind: `jwt:https://idp.example.com#alice`. The kinds of the transport are refused. */
  readonly name: string;
  /** When it expires, milliseconds since the Unix epoch; then the token is checked again. Default: with the connection. */
  readonly expiresAtMs?: number | undefined;
}

/**
 * Identifies the sender of a token. `metadata` holds only the entries of the call named by `keys`; `signal` is aborted when
 * no call waits for the answer any more. Resolves to `undefined` for a token it does not know. If it rejects, an `RpcError` goes
 * to the caller as it is; any other error fails the call UNAVAILABLE and is logged. Called once for each token of a connection, until it expires.
 */
export type Authenticate = (
  metadata: Metadata,
  peer: Peer,
  signal: AbortSignal,
) => Promise<TokenIdentity | string | undefined>;

/** An authenticator with the metadata keys it reads, if they are not just `authorization`. */
export interface AuthenticatorWithKeys {
  readonly authenticate: Authenticate;
  /** The metadata it is given. Its answers are cached by their values. */
  readonly keys: readonly string[];
}

export type Authenticator = Authenticate | AuthenticatorWithKeys;

/** The metadata key of tokens. */
export const authorizationKey = "authorization";

/** The token of `authorization: Bearer TOKEN`. */
export function bearerToken(metadata: Metadata): string | undefined {
  const text = metadata.getText(authorizationKey);
  return text === undefined ? undefined : /^bearer +(\S+)$/i.exec(text)?.[1];
}
