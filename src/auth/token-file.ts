import { createHash, timingSafeEqual } from "node:crypto";
import { type Authenticate, bearerToken } from "./authenticator.js";

/** Shorter tokens could be guessed. */
const tokenMinLength = 16;

interface StaticToken {
  readonly name: string;
  readonly digest: Buffer;
}

const digestOf = (token: string): Buffer => createHash("sha256").update(token).digest();

/** The tokens of a file of `name:token` lines. Throws `Error` that names the line and never shows it. */
export function parseTokens(text: string, file: string): readonly StaticToken[] {
  const tokens: StaticToken[] = [];
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
    const digest = digestOf(token);
    if (tokens.some((one) => one.digest.equals(digest)))
      throw new Error(`${where}: its token is another's as well`);
    tokens.push({ name, digest });
  });
  return tokens;
}

/** Identifies `token:name` by the tokens that `tokens` returns at the moment. */
export function staticTokens(tokens: () => readonly StaticToken[]): Authenticate {
  return async (metadata) => {
    const token = bearerToken(metadata);
    if (token === undefined) return undefined;
    const digest = digestOf(token);
    let found: string | undefined;
    // Compare all of them even after a match, so that the time reveals nothing.
    for (const one of tokens()) if (timingSafeEqual(one.digest, digest)) found = one.name;
    return found === undefined ? undefined : `token:${found}`;
  };
}
