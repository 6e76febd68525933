import { type Address, type AddressScheme, formatAddress, schemeOf } from "../base/address.js";
import { messages } from "../error/messages.js";
import type { Transport } from "./transport.js";

/** A transport for each scheme of addresses that has connections. Calls within a process (`inproc:`) have none. */
export type TransportsByScheme = Readonly<Record<Exclude<AddressScheme, "inproc">, Transport>>;

/** One transport over several: the scheme of an address says which. */
export function schemeTransport(transports: TransportsByScheme): Transport {
  const of = (address: Address, cannot: (where: string, why: string) => string): Transport => {
    const scheme = schemeOf(address);
    if (scheme === "inproc") throw new Error(cannot(formatAddress(address), messages.notInThisProcess));
    return transports[scheme];
  };
  const { tcp } = transports;
  return {
    connect: async (address, options) => of(address, messages.cannotConnect).connect(address, options),
    listen: async (address, onConnection, options) =>
      of(address, messages.cannotListen).listen(address, onConnection, options),
    localHostTowards: (address) => tcp.localHostTowards(address),
    ...(tcp.expects === undefined ? {} : { expects: tcp.expects }),
    callerKinds: tcp.callerKinds,
    // Its files may change.
    get identity() {
      return tcp.identity;
    },
    secured: (options) => {
      if (tcp.secured === undefined) throw new TypeError(messages.tlsNotHere("transport"));
      return schemeTransport({ ...transports, tcp: tcp.secured(options) });
    },
    close: () => tcp.close?.(),
  };
}
