/** Where a process listens: a host (name, IPv4 or IPv6 without brackets) and a TCP port. */
export interface Address {
  host: string;
  /** 0..65535; 0 asks the system for a free one when listening. */
  port: number;
}

/** `host:port`, with an IPv6 host in brackets: the form of conf files, znodes and messages. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads `host:port` or `[v6]:port`; `undefined` when it is not one. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]\s]+)\]|([^:\s[\]/]+)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  return port > 65_535 || host === undefined ? undefined : { host, port };
}
