import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { issuerAndSerial } from "./certificate.js";
import type { TlsMaterial } from "./material.js";

/**
 * The DER of the certificate of the other side; undefined: it showed none. Not `getPeerX509Certificate`, which at a client removes it from
 * the chain, so that it can be read only once.
 */
export function peerCertificate(socket: TLSSocket): Buffer | undefined {
  return socket.getPeerCertificate(false)?.raw;
}

export interface CertifiedConnection {
  readonly socket: TLSSocket;
  /** Of the other side, where the socket does not have it. */
  readonly certificate: Buffer | undefined;
}

/** The end of a certificate's time, by the wall clock, or why it is not valid at this moment. */
export interface Dates {
  readonly untilMs: number;
  readonly refusal: string | undefined;
}

/** TLS looks at the dates in a full handshake only: a resumed session may outlive its certificate. Throws for one that cannot be read. */
export function datesOf(certificate: Buffer, nowMs: number): Dates {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [fromMs, untilMs] = [Date.parse(validFrom), Date.parse(validTo)];
  if (Number.isNaN(fromMs) || Number.isNaN(untilMs)) throw new RangeError("dates that are none");
  if (untilMs <= nowMs) return { untilMs, refusal: messages.certificateExpired };
  return { untilMs, refusal: fromMs > nowMs ? messages.certificateNotYetValid : undefined };
}

/** No valid chain is longer; a limit keeps a hostile peer from making us loop. */
const chainMax = 16;

/**
 * Why the certificate of an open connection is no longer accepted, by the current authorities and revocations;
 * undefined when it still is. TLS checked the whole chain when the connection was made: what can have changed since are the
 * dates, the authorities and the lists. One that cannot be read is not accepted.
 */
export function whyDistrusted(
  connection: CertifiedConnection,
  material: TlsMaterial,
  nowMs: number,
): string | undefined {
  try {
    return whyChainDistrusted(chainOf(connection), material, nowMs);
  } catch (error) {
    return messages.certificateUnreadable(textOf(error));
  }
}

function whyChainDistrusted(
  chain: readonly X509Certificate[],
  material: TlsMaterial,
  nowMs: number,
): string | undefined {
  if (chain.length === 0) return undefined;
  for (const certificate of chain) {
    if (material.revoked.has(issuerAndSerial(certificate.raw))) return messages.certificateRevoked;
  }
  const { anchors } = material;
  for (const certificate of chain) {
    if (Date.parse(certificate.validTo) <= nowMs) return messages.certificateExpired;
    if (anchors?.some(({ raw }) => raw.equals(certificate.raw))) return undefined;
    if (anchors?.some((anchor) => isSignedBy(certificate, anchor))) return undefined;
  }
  // Without configured authorities it was checked against those of Node.js, which do not change.
  return anchors === undefined ? undefined : messages.certificateUntrusted;
}

/** The certificate of the other side and those above it, each signed by the next: others that it sent along prove nothing. */
function chainOf({ socket, certificate: known }: CertifiedConnection): X509Certificate[] {
  if (known !== undefined) return [new X509Certificate(known)];
  const chain: X509Certificate[] = [];
  let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (one?.raw !== undefined && chain.length < chainMax) {
    const certificate = new X509Certificate(one.raw);
    const below = chain.at(-1);
    if (below !== undefined && !isSignedBy(below, certificate)) break;
    chain.push(certificate);
    const issuer: DetailedPeerCertificate | undefined = one.issuerCertificate;
    one = issuer === one || issuer?.fingerprint256 === one.fingerprint256 ? undefined : issuer;
  }
  return chain;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
