import { integer, type OptionRule, type OptionRules, oneOf, text } from "../../base/options.js";
import { messages } from "../../error/messages.js";
import { defaultHandshakeLimits, type HandshakeLimits } from "./handshake-gate.js";
import { isPeerName, peerNameForms } from "./peer-name.js";

export const tlsModes = ["off", "optional", "required"] as const;
export type TlsMode = (typeof tlsModes)[number];
export const tlsVersions = ["1.2", "1.3"] as const;
export type TlsVersion = (typeof tlsVersions)[number];
export const clientAuthModes = ["none", "request", "require"] as const;
export type ClientAuthMode = (typeof clientAuthModes)[number];

/**
 * How connections are secured. `cert`, `key`, `ca`, `crl` are names of PEM files, read again when they change, or PEM texts;
 * so is `secrets` with its lines. A channel connects by TLS, and by nothing else, when `ca` or `secrets` is given or `mode`
 * is `required`.
 */
export interface TlsOptions {
  /** What a provider's port takes: bytes in clear, both, or TLS only. Default `off`; to be said with a certificate, secrets or `crl`. */
  readonly mode?: TlsMode | undefined;
  /** The own certificate, followed by intermediate ones. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The trusted authorities, instead of those of Node.js. */
  readonly ca?: string | undefined;
  /** Revocation lists. If set, each authority of a chain needs one. */
  readonly crl?: string | undefined;
  /** Default `1.2`. */
  readonly minVersion?: TlsVersion | undefined;
  /** In OpenSSL's form. Default: those of Node.js. */
  readonly ciphers?: string | undefined;
  /** Of `key`: the text itself, or `file:NAME`. */
  readonly passphrase?: string | undefined;
  /** Whether callers of a provider must present a certificate of `ca`. Default `none`. */
  readonly clientAuth?: ClientAuthMode | undefined;
  /** The names a channel accepts from its provider: `users.example`, `*.example`, `spiffe://domain/ns/users`, `|` between several. Default: the host it connects to. */
  readonly peerName?: string | undefined;
  /** `peerName` by service, full name or short. */
  readonly peerNames?: Readonly<Record<string, string>> | undefined;
  /** The domain of SPIFFE IDs that callers may have. Default: that of the own certificate. */
  readonly trustDomain?: string | undefined;
  /** A file of `name:key` lines: callers and providers that share a line need no certificates. */
  readonly secrets?: string | undefined;
  /** The name of the line that a channel uses. Default: the first. */
  readonly secret?: string | undefined;
  /** How long a handshake may take, ms. Default 5000. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Concurrent handshakes. Default 512. */
  readonly handshakesMax?: number | undefined;
  /** Concurrent handshakes of one address. Default 64. */
  readonly handshakesPerAddressMax?: number | undefined;
}

const peerNameRule: OptionRule = {
  expected: peerNameForms,
  accepts: (value) => typeof value === "string" && isPeerName(value),
};

/** For `checkOptions`. */
export const tlsOptionRules: OptionRules<TlsOptions> = {
  mode: oneOf(...tlsModes),
  cert: text,
  key: text,
  ca: text,
  crl: text,
  minVersion: oneOf(...tlsVersions),
  ciphers: text,
  passphrase: text,
  clientAuth: oneOf(...clientAuthModes),
  peerName: peerNameRule,
  peerNames: {
    expected: `an object such as { "fixbug.UserServiceRpc": "users.example" }, its values ${peerNameForms}`,
    accepts: (value) =>
      typeof value === "object" &&
      value !== null &&
      Object.values(value).every((one) => peerNameRule.accepts(one)),
  },
  trustDomain: text,
  secrets: text,
  secret: text,
  handshakeTimeoutMs: integer(1),
  handshakesMax: integer(1),
  handshakesPerAddressMax: integer(1),
};

/** Channels speak TLS, and never in clear. */
export function securesChannels({ mode, ca, secrets }: TlsOptions): boolean {
  return ca !== undefined || secrets !== undefined || mode === "required";
}

/** Whether any option needs TLS. */
export function usesTls(options: TlsOptions): boolean {
  return securesChannels(options) || (options.mode ?? "off") !== "off";
}

/** Throws `TypeError` if `given` names whom to accept, and channels with `all` options would ask nobody who it is. */
export function checkPeerNames({ peerName, peerNames = {} }: TlsOptions, all: TlsOptions): void {
  const named = peerName !== undefined || Object.keys(peerNames).length > 0;
  if (named && !securesChannels(all)) throw new TypeError(messages.peerNameIdle);
}

/**
 * Throws `TypeError` if `given` has a certificate that neither a provider nor a channel with `all` options would show, or names a
 * secret that is nowhere.
 */
export function checkUsed({ cert, key, secret }: TlsOptions, all: TlsOptions): void {
  if ((cert ?? key) !== undefined && !usesTls(all)) throw new TypeError(messages.tlsPairIdle);
  if (secret !== undefined && all.secrets === undefined) throw new TypeError(messages.secretIdle);
}

/** Throws `Error` if a provider with these options would listen more openly than they sound. */
export function checkListening({ mode, cert, key, ca, crl, secrets, clientAuth = "none" }: TlsOptions): void {
  const asksCallers = clientAuth !== "none";
  if (asksCallers && (mode ?? "off") === "off") throw new Error(messages.clientAuthInClear(clientAuth));
  // Channels use them too, so only the mode tells whether the port is meant to.
  const said = [
    ["tls.cert", cert ?? key],
    ["tls.crl", crl],
    ["auth.secrets", secrets],
  ].filter(([, value]) => value !== undefined);
  if (mode === undefined && said.length > 0)
    throw new Error(messages.modeUnsaid(said.map(([name]) => name).join(" and ")));
  if (asksCallers && cert !== undefined && ca === undefined)
    throw new Error(messages.clientAuthWithoutCa(clientAuth));
}

/** The kinds of identities that callers of a provider can prove by TLS. */
export function callerKinds({ mode = "off", clientAuth = "none", cert, secrets }: TlsOptions): string[] {
  if (mode === "off") return [];
  const certificates = clientAuth !== "none" && cert !== undefined ? ["dns", "spiffe"] : [];
  return secrets === undefined ? certificates : [...certificates, "secret"];
}

/** What is set and sounds as if it secured channels, while they connect in clear. */
export function idleKeys({ mode, cert, key }: TlsOptions): string[] {
  const optional = mode === "optional" ? ["tls.mode=optional"] : [];
  return (cert ?? key) === undefined ? optional : ["tls.cert", ...optional];
}

export function handshakeLimitsOf(options: TlsOptions): HandshakeLimits {
  return {
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? defaultHandshakeLimits.handshakeTimeoutMs,
    handshakesMax: options.handshakesMax ?? defaultHandshakeLimits.handshakesMax,
    handshakesPerAddressMax:
      options.handshakesPerAddressMax ?? defaultHandshakeLimits.handshakesPerAddressMax,
  };
}
