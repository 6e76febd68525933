import type { JwtOptions } from "./jwt.js";
import type { Policy } from "./policy.js";

/** A file that contains a policy, perhaps among other things. */
export interface PolicySource {
  readonly file: string;
  /** What names it, for messages. Default `auth.policy`. */
  readonly setting?: string;
  /** Throws for invalid rules. */
  parse(text: string): Policy;
}

/** Where a channel's token is. */
export type TokenSource = { readonly file: string } | { readonly value: string };

/** The configuration of identities and policy. */
export interface AuthSettings {
  /** What channels send, unless they have `credentials` of their own. Default: none. */
  token: TokenSource | undefined;
  /** Tokens are sent on connections that others can read, too. Default false. */
  allowPlain: boolean;
  /** Who may call what. Default: everybody may call everything. */
  policy: PolicySource | undefined;
  /** A file of `name:token` lines; the bearer of a token is `token:name`. Default: none. */
  tokensFile: string | undefined;
  /** The accepted JSON web tokens. Default: none. */
  jwt: JwtOptions | undefined;
  /** Time limit of checking a token, ms. Default 5000. */
  checkTimeoutMs: number;
}

export const defaultAuthSettings: Readonly<AuthSettings> = {
  token: undefined,
  allowPlain: false,
  policy: undefined,
  tokensFile: undefined,
  jwt: undefined,
  checkTimeoutMs: 5000,
};
