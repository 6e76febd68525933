import type { JwtOptions } from "./jwt.js";
import type { Policy } from "./policy.js";

/** A file that holds a policy, alone or with other things. */
export interface PolicySource {
  readonly file: string;
  /** Throws for what cannot be read as rules. */
  parse(text: string): Policy;
}

/** Where a channel's token is. */
export type TokenSource = { readonly file: string } | { readonly value: string };

/** What a configuration says of who calls and who may. */
export interface AuthSettings {
  /** What channels send, unless they have `credentials` of their own. Default: none. */
  token: TokenSource | undefined;
  /** Tokens are sent on connections that others can read, too. Default false. */
  allowPlain: boolean;
  /** Who may call what. Default: everybody everything. */
  policy: PolicySource | undefined;
  /** A file of `name:token` lines; whoever brings one is `token:name`. Default: none. */
  tokensFile: string | undefined;
  /** JSON web tokens that are accepted. Default: none. */
  jwt: JwtOptions | undefined;
  /** What checking a token may take, ms. Default 5000. */
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
