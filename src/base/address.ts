/**
 * Where a process listens: a host (name, IPv4 or IPv6 without brackets) and a TCP port. An address that is no place in a network
 * has its whole text as `host`, and port 0: `unix:/path` (a socket of this machine) or `inproc:name` (a provider of this process).
 */
export interface Address {
  host: string;
  /** 0..65535; 0 asks the system for a free one when listening. */
  port: number;
}

/** How an address is reached. */
export type AddressScheme = "tcp" | "unix" | "inproc";

/** Without what lists of addresses, znodes and conf files put between or behind them. */
const localPattern = /^(?:unix:\/[^\s?*,|=#]+|inproc:[\w.-]{0,100})$/;

export function schemeOf({ host }: Readonly<Address>): AddressScheme {
  if (host.startsWith("unix:")) return "unix";
  return host.startsWith("inproc:") ? "inproc" : "tcp";
}

/** What follows the scheme: the path of a socket, the name of a provider. */
export function withoutScheme({ host }: Readonly<Address>): string {
  return host.slice(host.indexOf(":") + 1);
}

/** The one spelling of a text that begins with `unix:`, so that `unix:///path` is the endpoint and the identity `unix:/path`. */
export function inOneSpelling(text: string): string {
  return text.startsWith("unix:") ? text.replace(/\/{2,}/g, "/") : text;
}

/** `unix:/path` or `inproc:name` as `Address.host` holds it; `undefined` when `text` is neither. */
export function localAddress(text: string): string | undefined {
  const one = inOneSpelling(text);
  return localPattern.test(one) ? one : undefined;
}

/** Whether callers can connect to it: a port that is not the system's choice, or an address without ports. */
export function isReachable(address: Readonly<Address>): boolean {
  return schemeOf(address) !== "tcp" || address.port > 0;
}

/** `host:port`, with an IPv6 host in brackets, `unix:/path` or `inproc:name`: the form of conf files, znodes and messages. */
export function formatAddress(address: Readonly<Address>): string {
  const { host, port } = address;
  if (!host.includes(":")) return `${host}:${port}`;
  return schemeOf(address) === "tcp" ? `[${host}]:${port}` : host;
}

/** Reads `host:port`, `[v6]:port`, `unix:/path` (also `unix:///path`) or `inproc:name`; `undefined` when it is not one. */
export function parseAddress(given: string): Address | undefined {
  const text = given.trim();
  const local = localAddress(text);
  if (local !== undefined) return { host: local, port: 0 };
  const match = /^(?:\[([^\]\s]+)\]|([^:\s[\]/]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  return port > 65_535 || host === undefined ? undefined : { host, port };
}
