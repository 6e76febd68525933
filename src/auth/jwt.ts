import type { Clock } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Logger } from "../log/logger.js";
import { type Authenticate, bearerToken } from "./authenticator.js";
import { FetchedKeys, jwksRefreshMs } from "./jwks-url.js";
import { WatchedFile } from "./watched-file.js";

/** Which JSON web tokens are accepted. All fields are required: leaving out any of them allows a known attack. */
export interface JwtOptions {
  /** `iss` must be this. */
  readonly issuer: string;
  /** `aud` must be, or hold, this. */
  readonly audience: string;
  /** The accepted signature algorithms, asymmetric ones only: `RS256`, `ES256`, `EdDSA` ... */
  readonly algorithms: readonly string[];
  /** Where the issuer's public keys are: a JWKS file, read again when it changes, or an https URL, fetched as needed. */
  readonly jwks: string;
  /** How often the keys of a URL are fetched again, ms: a key that was taken out is refused from then on. Default 300,000. */
  readonly refreshMs?: number | undefined;
}

/** Asymmetric algorithms: a verifier cannot create signatures. */
export const jwtAlgorithms: readonly string[] = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** Clocks of two machines may differ by this, s. */
const clockToleranceS = 5;

export interface OpenedAuthenticator {
  readonly authenticate: Authenticate;
  close(): void;
}

/** Throws `TypeError` for unsafe options. */
export function checkJwtOptions({ issuer, audience, algorithms, jwks, refreshMs = 1 }: JwtOptions): void {
  const missing = Object.entries({ issuer, audience, jwks }).find(([, value]) => !value)?.[0];
  if (missing !== undefined)
    throw new TypeError(`JWT: ${missing} is required (auth.${missing === "jwks" ? "" : "jwt"}${missing})`);
  if (!(refreshMs > 0)) throw new TypeError(`JWT: expected refreshMs above 0, found ${refreshMs}`);
  // The name of the subject follows after it.
  if (issuer.includes("#")) throw new TypeError('JWT: an issuer with a "#" is not supported');
  const wrong = algorithms.find((one) => !jwtAlgorithms.includes(one));
  if (wrong !== undefined || algorithms.length === 0) {
    const found = wrong === undefined ? "none" : JSON.stringify(wrong);
    throw new TypeError(`JWT: expected algorithms of ${jwtAlgorithms.join(", ")}, found ${found}`);
  }
}

async function loadJose(): Promise<typeof import("jose")> {
  try {
    return await import("jose");
  } catch (error) {
    throw new Error(`JSON web tokens need the package jose: npm install jose (${textOf(error)})`);
  }
}

/** Whether nobody on the network can answer for the URL. */
function jwksUrl(jwks: string): URL | undefined {
  if (!/^https?:\/\//.test(jwks)) return undefined;
  const url = new URL(jwks);
  const local = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url.protocol === "https:" || local) return url;
  throw new TypeError(`JWT: expected a file or an https URL of the JWKS, found ${url.protocol}//${url.host}`);
}

/**
 * `jwt:<iss>#<sub>` for tokens with a good signature. `onChange`: the keys have changed, so that tokens accepted before may no longer be
 * good. Rejects with `Error` for a JWKS file that cannot be read.
 */
export async function jwtAuthenticator(
  options: JwtOptions,
  parts: { readonly clock: Clock; readonly log: Logger },
  onChange: () => void,
): Promise<OpenedAuthenticator> {
  checkJwtOptions(options);
  const jose = await loadJose();
  const { issuer, audience, jwks } = options;
  const algorithms = [...options.algorithms];
  const parse = (text: string): ReturnType<typeof jose.createLocalJWKSet> => {
    try {
      return jose.createLocalJWKSet(JSON.parse(text));
    } catch (error) {
      // That of JSON shows what it has read, and the file may be another than was meant.
      const found = error instanceof SyntaxError ? "a text that is no JSON" : textOf(error);
      throw new Error(`auth.jwks: ${jwks}: expected a JSON Web Key Set, found ${found}`);
    }
  };
  const url = jwksUrl(jwks);
  const file =
    url === undefined
      ? new WatchedFile(jwks, parse, { ...parts, setting: "auth.jwks" }, onChange)
      : undefined;
  const { refreshMs = jwksRefreshMs } = options;
  const fetched = url === undefined ? undefined : new FetchedKeys(jose, url, parts, refreshMs, onChange);
  const authenticate: Authenticate = async (metadata) => {
    const token = bearerToken(metadata);
    if (token?.split(".").length !== 3) return undefined;
    const keys = file?.value ?? fetched?.find;
    if (keys === undefined) return undefined;
    try {
      const { payload } = await jose.jwtVerify(token, keys, {
        ...{ issuer, audience, algorithms, clockTolerance: clockToleranceS },
        currentDate: new Date(parts.clock.wallNow()),
        requiredClaims: ["exp", "sub"],
      });
      return {
        name: `jwt:${issuer}#${payload.sub}`,
        expiresAtMs: ((payload.exp ?? 0) + clockToleranceS) * 1000,
      };
    } catch (error) {
      throw refusalOf(error, jose);
    }
  };
  return {
    authenticate,
    close() {
      file?.close();
      fetched?.close();
    },
  };
}

/** Errors of a token are reported to its bearer; errors of the keys only to the log. */
function refusalOf(error: unknown, { errors }: typeof import("jose")): unknown {
  if (error instanceof errors.JWTExpired) {
    return new RpcError(Status.UNAUTHENTICATED, messages.tokenExpired);
  }
  const trouble =
    !(error instanceof errors.JOSEError) ||
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === "ERR_JOSE_GENERIC";
  if (trouble) return error;
  return new RpcError(Status.UNAUTHENTICATED, messages.tokenInvalid(error.message));
}
