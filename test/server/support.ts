import type { Registration, RegistrationHandle } from "../../src/registry/registry.js";
import { RpcProvider } from "../../src/server/provider.js";
import type { SettingsInit } from "../../src/testing/index.js";
import { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";

export const probe = {
  echo: <T>(request: T) => request,
  relay: <T>(request: T) => request,
  note: <T>(request: T) => request,
};

/** A registry that writes down what it is asked, and does as `act` says. */
export class NotedRegistry extends FixedRegistry {
  readonly registrations: Registration[] = [];
  readonly order: string[] = [];
  act: (registration: Registration, signal?: AbortSignal) => Promise<void> = async () => {};
  leave: () => Promise<void> = async () => {};

  override async register(registration?: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    if (registration === undefined) throw new Error("nothing to register");
    await this.act(registration, signal);
    this.registrations.push(registration);
    this.order.push(`register ${registration.service}`);
    return {
      unregister: async () => {
        this.order.push(`unregister ${registration.service}`);
        await this.leave();
      },
    };
  }
}

export function fresh(settings: SettingsInit = {}, registry = new NotedRegistry([])) {
  const cluster = new Cluster({ settings });
  const runtime = cluster.runtime({ registry });
  const provider = new RpcProvider(runtime);
  cluster.onClose(() => provider.shutdown());
  return { cluster, runtime, provider, registry };
}
