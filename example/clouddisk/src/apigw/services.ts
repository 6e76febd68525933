import { type Endpoint, formatAddress, Health, openRegistry, type Registry, RpcChannel } from "mprpc";
import type { Host } from "../common/part.js";

export interface ServiceInstances {
  service: string;
  instances: Array<{ address: string; healthy: boolean }>;
}

const timeoutMs = 1000;
/** `SERVING` of grpc.health.v1. */
const serving = 1;

/** Which instances there are, and which of them answer. */
export class ServiceHealth {
  readonly #host: Host;
  #listing: { services: Promise<ServiceInstances[]>; untilMs: number } | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  /** At most a second old: a page that is open in many browsers does not ask every instance for each of them. */
  list(): Promise<ServiceInstances[]> {
    const nowMs = performance.now();
    if (this.#listing === undefined || this.#listing.untilMs <= nowMs) {
      const services = this.#list();
      this.#listing = { services, untilMs: nowMs + 1000 };
      services.catch(() => {
        this.#listing = undefined;
      });
    }
    return this.#listing.services;
  }

  async #list(): Promise<ServiceInstances[]> {
    const listed = await this.#host.app.registry.list(AbortSignal.timeout(2 * timeoutMs));
    const own = listed.filter(({ service }) => service.startsWith("clouddisk."));
    const endpoints = new Map<string, Endpoint>();
    for (const { endpoints: some } of own) for (const one of some) endpoints.set(formatAddress(one), one);
    const healthy = new Map(
      await Promise.all(
        [...endpoints.keys()].map(async (address) => [address, await this.#answers(address)] as const),
      ),
    );
    return own
      .map(({ service, endpoints: some }) => ({
        service,
        instances: some
          .map((one) => formatAddress(one))
          .map((address) => ({ address, healthy: healthy.get(address) ?? false })),
      }))
      .sort((a, b) => a.service.localeCompare(b.service));
  }

  /** Asks exactly this instance, whatever the balancer would choose. */
  async #answers(address: string): Promise<boolean> {
    let registry: Registry | undefined;
    let channel: RpcChannel | undefined;
    try {
      registry = openRegistry(`static://${address}`);
      channel = new RpcChannel(this.#host.app, { registry, timeoutMs });
      const { status } = await channel.call(Health.methods.check, { service: "" });
      return status === serving;
    } catch {
      // Away, too slow, or not one of ours: all the same to who looks at the page.
      return false;
    } finally {
      await channel?.close();
      await registry?.close();
    }
  }
}
