import type { Endpoint } from "../../src/registry/registry.js";
import type { RpcProvider } from "../../src/server/provider.js";
import { Cluster } from "../support/cluster.js";
import type { ProbeServiceStub } from "../support/gen/probe.js";

export const at = (port: number, more: Partial<Endpoint> = {}): Endpoint => ({
  host: "127.0.0.1",
  port,
  protocol: "mprpc",
  weight: 1,
  attributes: {},
  ...more,
});

export const addressOf = (provider: RpcProvider): number => provider.address?.port ?? 0;

/** Providers that answer with their own name. */
export async function startMany(
  names: readonly string[],
  options: ConstructorParameters<typeof Cluster>[0] = {},
) {
  const cluster = new Cluster(options);
  const providers = new Map<string, RpcProvider>();
  for (const text of names) providers.set(text, await cluster.provider({ echo: () => ({ text }) }));
  return { cluster, providers, clock: cluster.clock };
}

export async function tally(stub: ProbeServiceStub, calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls; i++) {
    const { text } = await stub.echo({});
    counts[text] = (counts[text] ?? 0) + 1;
  }
  return counts;
}
