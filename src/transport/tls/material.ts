import { constants, createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import type tls from "node:tls";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { closingCommand, modeOf, openFileWarning, writableFileWarning } from "../../log/secret-file.js";
import { revokedIn, subjectNames } from "./certificate.js";
import { pemBlocks } from "./der.js";
import { nodeTls } from "./node-tls.js";
import type { TlsOptions } from "./options.js";
import { identityOf, spiffeIdOf, trustDomainOf } from "./peer-name.js";
import { isSecretName, isSecretsFile, parseSecrets } from "./secrets.js";

/** The content of the files of `TlsOptions` at one moment, read and checked. */
export interface TlsMaterial {
  /** The same for the same contents. */
  readonly digest: string;
  /** For `tls.createServer`, and for the context of channels: the certificate, whom to trust. */
  readonly context: Readonly<tls.SecureContextOptions>;
  readonly hasCertificate: boolean;
  readonly secrets: ReadonlyMap<string, Buffer> | undefined;
  /** The shared secret that a channel uses. */
  readonly secretName: string | undefined;
  /** Who others take the holder of these files for: by its secret, or by its certificate; undefined: nobody. */
  readonly ownIdentity: string | undefined;
  /** Undefined: those that Node.js trusts. */
  readonly anchors: readonly X509Certificate[] | undefined;
  /** Keys of `issuerAndSerial`. */
  readonly revoked: ReadonlySet<string>;
  /** The text of both: as long as it is the same, whoever was trusted is. */
  readonly trustText: string;
  /** Of SPIFFE IDs that are accepted. */
  readonly trustDomain: string | undefined;
  /** Warnings for the log. */
  readonly warnings: readonly string[];
}

const sources = ["cert", "key", "ca", "crl", "secrets"] as const;
type Source = (typeof sources)[number];

const isPem = (source: string): boolean => source.includes("-----BEGIN ");
const isSecretLines = (source: string): boolean => source.includes("\n");
const isText = (key: Source, source: string): boolean =>
  key === "secrets" ? isSecretLines(source) : isPem(source);
/** How `openssl` is told what to convert. */
const converters: Readonly<Record<Exclude<Source, "secrets">, string>> = {
  cert: "x509",
  ca: "x509",
  crl: "crl",
  key: "pkey",
};
const passphraseFile = (passphrase: string | undefined): string | undefined =>
  passphrase?.startsWith("file:") ? passphrase.slice("file:".length) : undefined;

/** The files that `options` name. */
export function filesOf(options: TlsOptions): string[] {
  const named = sources.flatMap((key) => {
    const source = options[key];
    return source === undefined || isText(key, source) ? [] : [source];
  });
  const passphrase = passphraseFile(options.passphrase);
  return passphrase === undefined ? named : [...named, passphrase];
}

/** Reads everything. Throws `Error` that names the key and the file that cannot be used, but never the content of a secret file. */
export function loadMaterial(options: TlsOptions, nowMs: number): TlsMaterial {
  const warnings: string[] = [];
  const texts: Partial<Record<Source, string>> = {};
  const hash = createHash("sha256");
  for (const key of sources) {
    const source = options[key];
    if (source === undefined) continue;
    if (key === "secrets" && !isText(key, source) && !isSecretsFile(source))
      throw new Error(messages.secretsNoFile);
    texts[key] = isText(key, source) ? source : readNamed(keyName(key), source);
    if (!isText(key, source)) {
      const isSecret = key === "key" || key === "secrets";
      noteMode(keyName(key), source, warnings, isSecret ? openFileWarning : writableFileWarning);
    }
    hash.update(`${key} ${texts[key]}\n`);
  }
  const passphraseName = passphraseFile(options.passphrase);
  const passphrase =
    passphraseName === undefined
      ? options.passphrase
      : readNamed("tls.passphrase", passphraseName).replace(/\r?\n$/, "");
  if (passphraseName !== undefined) noteMode("tls.passphrase", passphraseName, warnings);
  hash.update(`passphrase ${passphrase ?? ""}`);
  if (options.cert !== undefined && options.key === undefined) throw new Error(messages.tlsKeyMissing);
  const context = contextOf(options, texts, passphrase);
  const certificates = pemBlocks(texts.cert ?? "", "CERTIFICATE");
  const names =
    certificates[0] === undefined ? undefined : namesOf(certificates[0], placeOf(options, "cert"));
  const ownId = names === undefined ? undefined : spiffeIdOf(names);
  noteDates(certificates, nowMs, warnings);
  const secrets =
    texts.secrets === undefined ? undefined : secretsOf(options.secrets as string, texts.secrets);
  const secretName = options.secret ?? secrets?.keys().next().value;
  if (secretName !== undefined && secrets?.has(secretName) !== true)
    throw new Error(messages.secretUnknown(isSecretName(secretName) ? secretName : "such name"));
  return {
    digest: hash.digest("hex"),
    context,
    hasCertificate: texts.cert !== undefined,
    secrets,
    secretName,
    ownIdentity: secretName === undefined ? names && identityOf(names) : `secret:${secretName}`,
    anchors: texts.ca === undefined ? undefined : certificatesOf(placeOf(options, "ca"), texts.ca),
    revoked: revokedOf(placeOf(options, "crl"), texts.crl),
    trustText: `${texts.ca ?? ""}\n${texts.crl ?? ""}`,
    trustDomain: options.trustDomain ?? (ownId === undefined ? undefined : trustDomainOf(ownId)),
    warnings,
  };
}

function keyName(key: Source): string {
  return key === "secrets" ? "auth.secrets" : `tls.${key}`;
}

/** Its key, and its file if it has one: the beginning of what is told of it. */
function placeOf(options: TlsOptions, key: Source): string {
  const source = options[key];
  const named = source === undefined || isText(key, source);
  return named ? keyName(key) : `${keyName(key)}: ${path.resolve(source)}`;
}

function readNamed(key: string, file: string): string {
  return lookAt(key, file, () => readFileSync(file, "utf8"));
}

/** What `look` finds of a file. Throws `Error` that names the key and the file when it fails. */
function lookAt<T>(key: string, file: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw new Error(messages.tlsFileUnreadable(key, path.resolve(file), textOf(error)), { cause: error });
  }
}

function contextOf(
  options: TlsOptions,
  { cert, key, ca, crl }: Partial<Record<Source, string>>,
  passphrase: string | undefined,
): tls.SecureContextOptions {
  const privateKey = key === undefined ? undefined : readKey(options, key, passphrase);
  for (const [name, pem, label] of [
    ["cert", cert, "CERTIFICATE"],
    ["ca", ca, "CERTIFICATE"],
    ["crl", crl, "X509 CRL"],
  ] as const) {
    if (pem !== undefined && pemBlocks(pem, label).length === 0) throw noBlock(options, name, pem, label);
  }
  if (cert !== undefined && privateKey !== undefined) checkPair(options, cert, privateKey);
  const context: tls.SecureContextOptions = {
    ...(cert === undefined ? {} : { cert, key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca: pemBlocks(ca, "CERTIFICATE").map(toPem) }),
    ...(crl === undefined ? {} : { crl }),
    ...(options.ciphers === undefined ? {} : { ciphers: options.ciphers }),
    minVersion: options.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  };
  try {
    nodeTls().createSecureContext(context);
  } catch (error) {
    const ofCiphers = (error as NodeJS.ErrnoException).code === "ERR_SSL_NO_CIPHER_MATCH";
    const files = (["cert", "key", "ca", "crl"] as const).filter((one) => options[one] !== undefined);
    const where = files.map((one) => placeOf(options, one)).join(", ") || "tls.ciphers";
    const text = ofCiphers
      ? messages.tlsCiphersUnknown(JSON.stringify(options.ciphers))
      : messages.tlsUnusable(where, textOf(error));
    throw new Error(text, { cause: error });
  }
  return context;
}

function noBlock(options: TlsOptions, key: Exclude<Source, "secrets">, text: string, label: string): Error {
  const where = placeOf(options, key);
  // A SEQUENCE of more than 127 bytes; the second byte is none of UTF-8.
  const binary = text.startsWith("0\ufffd");
  return new Error(
    binary ? messages.tlsFileInDer(where, converters[key]) : messages.tlsFileWithout(where, label),
  );
}

function readKey(options: TlsOptions, key: string, passphrase: string | undefined): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) throw noBlock(options, "key", key, "PRIVATE KEY");
  const where = placeOf(options, "key");
  // In PKCS #8, or in the older form of OpenSSL.
  const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type:.*ENCRYPTED/m.test(key);
  if (encrypted && passphrase === undefined) throw new Error(messages.tlsKeyEncrypted(where));
  try {
    return createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const say = encrypted ? messages.tlsKeyLocked : messages.tlsKeyUnusable;
    throw new Error(say(where, textOf(error)), { cause: error });
  }
}

/** OpenSSL itself takes a pair of two kinds, such as RSA and EC, and then fails every handshake. */
function checkPair(options: TlsOptions, cert: string, key: KeyObject): void {
  const where = placeOf(options, "cert");
  const [own] = certificatesOf(where, cert);
  if (own?.checkPrivateKey(key) === false)
    throw new Error(messages.tlsKeyOfAnother(where, placeOf(options, "key")));
}

const toPem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;

function certificatesOf(where: string, pem: string): X509Certificate[] {
  try {
    return pemBlocks(pem, "CERTIFICATE").map((der) => new X509Certificate(der));
  } catch (error) {
    throw new Error(messages.tlsUnusable(where, textOf(error)), { cause: error });
  }
}

function revokedOf(where: string, crl: string | undefined): ReadonlySet<string> {
  try {
    return new Set(pemBlocks(crl ?? "", "X509 CRL").flatMap(revokedIn));
  } catch (error) {
    throw new Error(messages.tlsUnusable(where, textOf(error)), { cause: error });
  }
}

function namesOf(der: Buffer, where: string): ReturnType<typeof subjectNames> {
  try {
    return subjectNames(der);
  } catch (error) {
    throw new Error(messages.tlsUnusable(where, textOf(error)), { cause: error });
  }
}

/** Anyone who can read the file can impersonate any of its names. */
function secretsOf(source: string, text: string): ReadonlyMap<string, Buffer> {
  if (isSecretLines(source)) return parseSecrets(text, "auth.secrets");
  const stat = lookAt("auth.secrets", source, () => statSync(source));
  if (process.platform !== "win32" && (stat.mode & 0o027) !== 0) {
    throw new Error(messages.secretsReadable(source, modeOf(stat), closingCommand(source, stat)));
  }
  return parseSecrets(text, source);
}

function noteMode(key: string, file: string, warnings: string[], warningOf = openFileWarning): void {
  const warning = lookAt(key, file, () => warningOf(key, file));
  if (warning !== undefined) warnings.push(warning);
}

function noteDates(certificates: readonly Buffer[], nowMs: number, warnings: string[]): void {
  for (const der of certificates) {
    const { validFrom, validTo } = new X509Certificate(der);
    if (Date.parse(validTo) <= nowMs) warnings.push(messages.ownCertificateExpired(validTo));
    else if (Date.parse(validFrom) > nowMs) warnings.push(messages.ownCertificateEarly(validFrom));
  }
}
