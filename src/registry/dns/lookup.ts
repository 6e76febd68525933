import { promises as dns } from "node:dns";
import { type Address, formatAddress } from "../../base/address.js";

/** Timeout of one query, ms; a name server is queried twice. */
const tryTimeoutMs = 2000;
const tries = 2;

/** The name is not known, or has no such records: an answer, not a failure. */
const negativeCodes: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/** An address, and its share of the calls. */
export interface Found extends Address {
  weight: number;
}

/** Whether the DNS has answered that there is nothing. */
export function isNegative(error: unknown): boolean {
  return negativeCodes.has((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}

/** Looks names up, at one server or as the system does. */
export class DnsLookup {
  readonly #resolver = new dns.Resolver({ timeout: tryTimeoutMs, tries });
  readonly #ownServer: boolean;

  constructor(server: Address | undefined) {
    this.#ownServer = server !== undefined;
    if (server !== undefined) this.#resolver.setServers([formatAddress(server)]);
  }

  /** Running lookups reject. */
  cancel(): void {
    this.#resolver.cancel();
  }

  /** The IPv4 addresses of a name, or the IPv6 ones when it has no others: a host with both counts once. */
  async addresses(host: string): Promise<string[]> {
    if (!this.#ownServer) {
      // With /etc/hosts and the search domains, as every other program looks names up.
      const all = await dns.lookup(host, { all: true });
      const ipv4 = all.filter(({ family }) => family === 4);
      return (ipv4.length > 0 ? ipv4 : all).map(({ address }) => address);
    }
    try {
      return await this.#resolver.resolve4(host);
    } catch (error) {
      if (!isNegative(error)) throw error;
      return this.#resolver.resolve6(host);
    }
  }

  /** The addresses of the SRV records with the lowest priority value that have any. */
  async services(name: string): Promise<Found[]> {
    const records = await this.#resolver.resolveSrv(name);
    const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
    for (const priority of priorities) {
      const found = await this.#targets(records.filter((record) => record.priority === priority));
      if (found.length > 0) return found;
    }
    const error: NodeJS.ErrnoException = new Error(`no target of the SRV records of ${name} has an address`);
    error.code = "ENODATA";
    throw error;
  }

  async #targets(records: ReadonlyArray<{ name: string; port: number; weight: number }>): Promise<Found[]> {
    const found = await Promise.all(
      records.map(async ({ name, port, weight }) => {
        try {
          const hosts = await this.addresses(name);
          // Weight 0 is for "no choice is to be made"; a target with several addresses splits its weight.
          return hosts.map((host) => ({ host, port, weight: Math.max(1, weight) / hosts.length }));
        } catch (error) {
          if (isNegative(error)) return [];
          throw error;
        }
      }),
    );
    return found.flat();
  }
}
