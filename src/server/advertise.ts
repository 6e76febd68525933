import type { Address } from "../base/address.js";
import type { Runtime } from "../runtime/runtime.js";

const wildcards = new Set(["0.0.0.0", "::", ""]);

/**
 * The address published for callers: the configured one (its port 0: the bound port), else the bound one. A wildcard bind
 * is not an address, so then it is the local address of the route to the registry, or 127.0.0.1 for a registry on this
 * machine.
 */
export async function advertisedAddress(bound: Address, runtime: Runtime): Promise<Address> {
  const { advertise } = runtime.settings.provider;
  if (advertise !== undefined) return { host: advertise.host, port: advertise.port || bound.port };
  if (!wildcards.has(bound.host)) return bound;
  const { servers } = runtime.registry;
  const server = servers?.[0];
  if (server === undefined) return { host: "127.0.0.1", port: bound.port };
  return { host: await runtime.transport.localHostTowards(server), port: bound.port };
}
