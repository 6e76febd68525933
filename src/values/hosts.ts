import { type Address, parseAddress } from "../base/address.js";

/** Where callers are told to go. Without a port: the port the provider is bound to. */
export interface AdvertisedAddress {
  readonly host: string;
  /** 1..65535 */
  readonly port: number | undefined;
}

/** The port a ZooKeeper server listens on unless said otherwise. */
export const zookeeperDefaultPort = 2181;

/** The port of a Consul agent's HTTP API unless said otherwise. */
export const consulDefaultPort = 8500;

/** The client port of a member of etcd unless said otherwise. */
export const etcdDefaultPort = 2379;

const namePattern =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i;
const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const ipv4Pattern = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** A name, an IPv4 or an IPv6 address (without brackets, a zone allowed), as `Address.host` holds it. */
export function isHost(text: string): boolean {
  if (text.includes(":")) return isIpv6(text);
  // Digits and dots alone are a mistyped IPv4 address, never a name.
  return /^[\d.]*$/.test(text) ? ipv4Pattern.test(text) : namePattern.test(text);
}

function isIpv6(text: string): boolean {
  const [address = "", zone, ...more] = text.split("%");
  if (more.length > 0 || zone === "" || !/^[0-9a-f:.]+$/i.test(address)) return false;
  return URL.canParse(`http://[${address}]/`);
}

/** Binding to one of these means "all interfaces"; nobody can call it. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. */
export function parseHostAndPort(text: string): AdvertisedAddress | undefined {
  const bracketed = /^\[([^\]]+)\]$/.exec(text)?.[1];
  if (bracketed !== undefined) {
    return bracketed.includes(":") && isHost(bracketed) ? { host: bracketed, port: undefined } : undefined;
  }
  if (isHost(text)) return { host: text, port: undefined };
  const address = parsePeer(text);
  return address === undefined ? undefined : { host: address.host, port: address.port };
}

/** `host:port` of a peer: a port that can be connected to, a host that can exist. */
export function parsePeer(text: string): Address | undefined {
  const address = parseAddress(text);
  return address !== undefined && address.port > 0 && isHost(address.host) ? address : undefined;
}
