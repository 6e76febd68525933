import { isIP } from "node:net";
import { messages } from "../../error/messages.js";
import { canonicalIp, type SubjectNames } from "./certificate.js";

/**
 * The names a channel accepts from its provider: patterns separated by `|`. `users.example` is a DNS name, `*.example` one with any first
 * label, `10.0.0.1` an address, `spiffe://domain/path` a SPIFFE ID, in which `*` stands for any part of one path segment.
 */
export const peerNameForms =
  'DNS names (users.example, *.example), IP addresses or SPIFFE IDs (spiffe://domain/ns/*/users), with "|" between several';

/** A DNS name as certificates have it, perhaps with `*` as its first label. */
const dnsPattern =
  /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
/** As in the specification of SPIFFE: no segment of a path is empty, `.` or `..`. */
const spiffePattern = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._*-]+)*$/;
const spiffeIdMaxLength = 2048;

export function isPeerName(text: string): boolean {
  const patterns = splitPeerName(text);
  return (
    patterns.length > 0 && patterns.every((one) => spiffePattern.test(one) || isIP(one) > 0 || isDns(one))
  );
}

function isDns(text: string): boolean {
  return text.length <= 253 && dnsPattern.test(text) && !/^[\d.]+$/.test(text);
}

function splitPeerName(text: string): string[] {
  return text.split("|").map((one) => one.trim().replace(/^dns:/, ""));
}

/** The SPIFFE ID of a certificate. It must be the only URI; otherwise the certificate would name two workloads. */
export function spiffeIdOf({ uris }: SubjectNames): string | undefined {
  const [uri, ...more] = uris;
  if (uri === undefined || more.length > 0 || uri.length > spiffeIdMaxLength || uri.includes("*"))
    return undefined;
  // That of a trust domain, without a path, is no workload's.
  return spiffePattern.test(uri) && uri.split("/").length > 3 ? uri : undefined;
}

/** Whether a certificate is meant to have a SPIFFE ID, right or wrong: schemes are the same in either case of letters. */
export function hasSpiffeId({ uris }: SubjectNames): boolean {
  return uris.some((one) => /^spiffe:/i.test(one));
}

/** Whom a provider takes the holder of a certificate for: its SPIFFE ID, or else its first DNS name that is no pattern. */
export function identityOf(names: SubjectNames): string | undefined {
  if (hasSpiffeId(names)) return spiffeIdOf(names);
  const name = names.dns.find((one) => isDns(one) && !one.startsWith("*."));
  return name === undefined ? undefined : `dns:${name}`;
}

/** Why `identityOf` finds nobody. */
export function whyNobody(names: SubjectNames): string {
  const say = names.dns.some((one) => one.startsWith("*."))
    ? messages.certificateOfWildcard
    : messages.certificateNameless;
  return say(describeNames(names));
}

export function trustDomainOf(spiffeId: string): string {
  return spiffeId.slice("spiffe://".length).split("/", 1)[0] as string;
}

/** The identity of a certificate that `peerName` allows; undefined: none of its names is allowed. */
export function matchPeerName(names: SubjectNames, peerName: string): string | undefined {
  for (const pattern of splitPeerName(peerName)) {
    const found = matchOne(names, pattern);
    if (found !== undefined) return found;
  }
  return undefined;
}

function matchOne(names: SubjectNames, pattern: string): string | undefined {
  if (pattern.startsWith("spiffe://")) {
    const id = spiffeIdOf(names);
    return id !== undefined && matchesSpiffe(id, pattern) ? id : undefined;
  }
  if (isIP(pattern) > 0) {
    const ip = canonicalIp(pattern);
    return names.ips.includes(ip) ? `ip:${ip}` : undefined;
  }
  const wanted = pattern.toLowerCase();
  const found = names.dns.find((name) => matchesDns(name, wanted));
  // A wildcard certificate proves the name that was expected.
  if (found?.startsWith("*.")) return `dns:${wanted}`;
  return found === undefined ? undefined : `dns:${found}`;
}

function matchesDns(name: string, wanted: string): boolean {
  if (name === wanted) return true;
  if (wanted.startsWith("*.")) return !name.startsWith("*.") && afterFirstLabel(name) === wanted.slice(1);
  return name.startsWith("*.") && afterFirstLabel(wanted) === name.slice(1);
}

/** `.example.org` of `a.example.org`. */
function afterFirstLabel(name: string): string {
  const dot = name.indexOf(".");
  return dot <= 0 ? "" : name.slice(dot);
}

function matchesSpiffe(id: string, pattern: string): boolean {
  const segments = id.split("/");
  const wanted = pattern.split("/");
  return (
    segments.length === wanted.length &&
    wanted.every((one, at) => matchesSegment(segments[at] as string, one))
  );
}

function matchesSegment(segment: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return segment === pattern;
  if (!segment.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop() as string;
  for (const part of rest) {
    const found = segment.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return segment.length - last.length >= at && segment.endsWith(last);
}

/** Its names, for a message. */
export function describeNames({ dns, uris, ips }: SubjectNames): string {
  const all = [...uris, ...dns.map((one) => `dns:${one}`), ...ips.map((one) => `ip:${one}`)];
  if (all.length === 0) return "no names (the common name does not count)";
  const shown = all.slice(0, 4).map((one) => (one.length > 100 ? `${one.slice(0, 100)}...` : one));
  return shown.join(", ") + (all.length > 4 ? ` and ${all.length - 4} more` : "");
}
