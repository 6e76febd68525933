import { createHmac, randomBytes } from "node:crypto";
import { type Authenticate, bearerToken } from "./authenticator.js";

/** Shorter tokens could be guessed. */
const tokenMinLength = 16;

/** Names by what `markOf` makes of their tokens. */
export type StaticTokens = ReadonlyMap<string, string>;

/** Of this process alone. */
const key = randomBytes(32);

/**
 * Tokens are found by this, as in any table. Nobody without the key knows how it changes with the token, so the time that finding one takes
 * tells nothing about those that are there.
 */
const markOf = (token: string): string => createHmac("sha256", key).update(token).digest("base64");

/** The tokens of a file of `name:token` lines. Throws `Error` that names the line and never shows it. */
export function parseTokens(text: string, file: string): StaticTokens {
  const tokens = new Map<string, string>();
  text.split(/\r\n|\n|\r/).forEach((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return;
    const [, name, token] = /^([\w.@-]{1,200})\s*:\s*(\S+)$/.exec(line) ?? [];
    const where = `${file}:${index + 1}`;
    if (name === undefined || token === undefined) throw new Error(`${where}: expected name:token`);
    if (token.length < tokenMinLength) {
      throw new Error(
        // In a line the wrong way round the name is the token: it is not shown.
        `${where}: the token, behind the name and ":", has ${token.length} characters, at least ${tokenMinLength} are needed`,
      );
    }
    const mark = markOf(token);
    if (tokens.has(mark)) throw new Error(`${where}: its token is another's as well`);
    tokens.set(mark, name);
  });
  return tokens;
}

/** Identifies `token:name` by the tokens that `tokens` returns at the moment. */
export function staticTokens(tokens: () => StaticTokens): Authenticate {
  return async (metadata) => {
    const token = bearerToken(metadata);
    const name = token === undefined ? undefined : tokens().get(markOf(token));
    return name === undefined ? undefined : `token:${name}`;
  };
}
