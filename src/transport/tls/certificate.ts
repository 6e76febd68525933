import { isIP } from "node:net";
import { type DerValue, derChildren, derTag, readDer } from "./der.js";

/** The names of a certificate's subject: its alternative names. The common name does not count, since its kind is unknown. */
export interface SubjectNames {
  /** In lower case. */
  readonly dns: readonly string[];
  readonly uris: readonly string[];
  readonly ips: readonly string[];
}

const subjectAltNameOid = Buffer.from([0x55, 0x1d, 0x11]);
/** The context tags of a GeneralName. */
const dnsTag = 0x82;
const uriTag = 0x86;
const ipTag = 0x87;
/** The explicit tag of a certificate's extensions. */
const extensionsTag = 0xa3;
const versionTag = 0xa0;

/** Reads the alternative names by the structure of the certificate. Throws `RangeError` for an invalid certificate. */
export function subjectNames(certificate: Buffer): SubjectNames {
  const dns: string[] = [];
  const uris: string[] = [];
  const ips: string[] = [];
  for (const { tag, content } of generalNames(certificate)) {
    if (tag === dnsTag) dns.push(asciiOf(content).toLowerCase());
    else if (tag === uriTag) uris.push(asciiOf(content));
    else if (tag === ipTag) ips.push(ipOf(content));
  }
  return { dns, uris, ips };
}

function generalNames(certificate: Buffer): DerValue[] {
  const [tbs] = derChildren(readDer(certificate).content);
  if (tbs === undefined) throw new RangeError("a certificate without content");
  const extensions = derChildren(tbs.content).find(({ tag }) => tag === extensionsTag);
  if (extensions === undefined) return [];
  for (const extension of derChildren(readDer(extensions.content).content)) {
    const parts = derChildren(extension.content);
    if (parts[0]?.tag !== derTag.oid || !parts[0].content.equals(subjectAltNameOid)) continue;
    const value = parts.at(-1);
    if (value?.tag !== derTag.octets) throw new RangeError("an extension without a value");
    return derChildren(readDer(value.content).content);
  }
  return [];
}

/** A name with a NUL or a control character is an attack: programs read it differently. */
function asciiOf(content: Buffer): string {
  const text = content.toString("latin1");
  if (!/^[!-~]+$/.test(text)) throw new RangeError("a name that is not printable ASCII");
  return text;
}

function ipOf(content: Buffer): string {
  if (content.length === 4) return content.join(".");
  if (content.length !== 16) throw new RangeError(`an IP address of ${content.length} bytes`);
  const groups = Array.from({ length: 8 }, (_, at) => content.readUInt16BE(2 * at).toString(16));
  return canonicalIp(groups.join(":"));
}

/** The canonical text of an address. */
export function canonicalIp(text: string): string {
  if (isIP(text) !== 6) return text;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** Identifies a certificate: its issuer and serial number. */
export function issuerAndSerial(certificate: Buffer): string {
  const [tbs] = derChildren(readDer(certificate).content);
  const [serial, , issuer] = derChildren(tbs?.content ?? Buffer.alloc(0)).filter(
    ({ tag }) => tag !== versionTag,
  );
  if (serial?.tag !== derTag.integer || issuer?.tag !== derTag.sequence) {
    throw new RangeError("a certificate without issuer or serial number");
  }
  return keyOf(issuer, serial);
}

function keyOf(issuer: DerValue, serial: DerValue): string {
  return `${issuer.whole.toString("base64")} ${serial.content.toString("hex")}`;
}

/** The revoked certificates of a revocation list, as keys (`issuerAndSerial`). Throws `RangeError`. */
export function revokedIn(crl: Buffer): string[] {
  const [tbs] = derChildren(readDer(crl).content);
  const parts = derChildren(tbs?.content ?? Buffer.alloc(0));
  if (parts[0]?.tag === derTag.integer) parts.shift();
  const [, issuer, ...rest] = parts;
  if (issuer?.tag !== derTag.sequence) throw new RangeError("a revocation list without an issuer");
  // It follows after the dates; an empty list has none.
  const entries = rest.find(({ tag }) => tag === derTag.sequence);
  if (entries === undefined) return [];
  return derChildren(entries.content).map((entry) => {
    const [serial] = derChildren(entry.content);
    if (serial?.tag !== derTag.integer) throw new RangeError("a revoked certificate without a number");
    return keyOf(issuer, serial);
  });
}
