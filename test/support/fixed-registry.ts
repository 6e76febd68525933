import type {
  Endpoint,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "../../src/registry/registry.js";

/** A registry whose every word the test says: the same endpoints for every service. */
export class FixedRegistry implements Registry {
  readonly name = "fixed:";
  watches = 0;
  closed = false;
  #snapshot: Snapshot | undefined;
  readonly #watchers = new Set<(snapshot: Snapshot) => void>();

  /** Without endpoints nothing is known until `publish`. */
  constructor(endpoints?: readonly Endpoint[]) {
    if (endpoints !== undefined) this.#snapshot = { endpoints, stale: false };
  }

  publish(endpoints: readonly Endpoint[], stale = false, hint = false): void {
    this.#snapshot = { endpoints, stale, hint };
    for (const watcher of [...this.#watchers]) watcher(this.#snapshot);
  }

  async register(): Promise<RegistrationHandle> {
    return { unregister: async () => {} };
  }

  watch(_service: string, onSnapshot: (snapshot: Snapshot) => void): Watch {
    this.watches++;
    this.#watchers.add(onSnapshot);
    const registry = this;
    queueMicrotask(() => {
      if (this.#snapshot !== undefined && this.#watchers.has(onSnapshot)) onSnapshot(this.#snapshot);
    });
    return {
      get current() {
        return registry.#snapshot;
      },
      close: () => {
        this.watches--;
        this.#watchers.delete(onSnapshot);
      },
    };
  }

  async list(): Promise<ServiceListing[]> {
    return [];
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** `registry`, with all endpoints to be called as gRPC servers. */
export function asGrpc(registry: Registry): Registry {
  const changed = ({ endpoints, ...rest }: Snapshot): Snapshot => ({
    ...rest,
    endpoints: endpoints.map((one) => ({ ...one, protocol: "grpc" })),
  });
  return {
    name: registry.name,
    register: (registration, signal) => registry.register(registration, signal),
    list: (signal) => registry.list(signal),
    close: () => registry.close(),
    watch: (service, onSnapshot, onTrouble) => {
      const watch = registry.watch(service, (snapshot) => onSnapshot(changed(snapshot)), onTrouble);
      return {
        get current() {
          return watch.current === undefined ? undefined : changed(watch.current);
        },
        close: () => watch.close(),
      };
    },
  };
}
