import { formatAddress } from "../base/address.js";
import type { Filled } from "../base/options.js";
import { fillDeps, type RegistryDeps } from "./deps.js";
import {
  checkRegistration,
  checkServiceName,
  isSameGroup,
  makeEntry,
  makeIncarnation,
  type ProviderEntry,
  toEndpoint,
} from "./entry.js";
import { RegistryError } from "./errors.js";
import type {
  Endpoint,
  Registration,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "./registry.js";
import { ServiceView, tellLost } from "./view.js";

interface Held {
  registration: Registration;
  entry: ProviderEntry;
}

/** The store shared by the registries of one in-process cluster; it takes the role of a server. */
export class MemoryStore {
  readonly #services = new Map<string, Map<string, Held[]>>();
  readonly #listeners = new Set<() => void>();
  #reachable = true;

  /** False makes every registry on this store behave as if its server were down; true brings it back. */
  setReachable(reachable: boolean): void {
    this.#reachable = reachable;
    this.changed();
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  /** @internal Entries of `service` by address, the newest last; only the newest is shown. */
  entriesOf(service: string): Map<string, Held[]> {
    const entries = this.#services.get(service) ?? new Map<string, Held[]>();
    this.#services.set(service, entries);
    return entries;
  }

  /** @internal */
  get services(): ReadonlyMap<string, ReadonlyMap<string, readonly Held[]>> {
    return this.#services;
  }

  /** @internal */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @internal */
  changed(): void {
    for (const listener of [...this.#listeners]) queueMicrotask(listener);
  }
}

/**
 * A registry inside one process, for tests and for programs whose providers and callers live together. Each
 * `MemoryRegistry` on one `MemoryStore` stands for one process of a cluster.
 */
export class MemoryRegistry implements Registry {
  readonly name = "memory:";
  readonly #store: MemoryStore;
  readonly #deps: Filled<RegistryDeps>;
  readonly #views = new Map<string, ServiceView>();
  readonly #held = new Set<Held>();
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor(store: MemoryStore, deps: RegistryDeps = {}) {
    this.#store = store;
    this.#deps = fillDeps(deps);
    this.#unsubscribe = store.subscribe(() => this.#refreshAll());
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkUsable();
    const { clock, random } = this.#deps;
    const entry = makeEntry(
      registration,
      registration.incarnation ?? makeIncarnation(random),
      clock.wallNow(),
    );
    const held: Held = { registration, entry };
    const entries = this.#store.entriesOf(registration.service);
    const address = formatAddress(registration.address);
    const before = entries.get(address) ?? [];
    entries.set(address, [...before, held]);
    this.#held.add(held);
    this.#store.changed();
    const text = `${address} of ${registration.service} was registered by a newer provider`;
    const older = before.at(-1);
    if (older !== undefined && !isSameGroup(older.entry, entry))
      tellLost(older.registration, new RegistryError("superseded", text), this.#deps.log);
    return { unregister: async () => this.#withdraw(held) };
  }

  watch(service: string, onSnapshot: (snapshot: Snapshot) => void): Watch {
    checkServiceName(service);
    const view = this.#views.get(service) ?? new ServiceView(service, this.#deps.log);
    this.#views.set(service, view);
    const watch = view.add(onSnapshot, () => this.#views.delete(service));
    queueMicrotask(() => this.#refresh(view));
    return watch;
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkUsable();
    const listings: ServiceListing[] = [];
    for (const [service, entries] of this.#store.services) {
      const endpoints = endpointsOf(entries);
      if (endpoints.length > 0) listings.push({ service, endpoints });
    }
    return listings.sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#views.clear();
    for (const held of this.#held) this.#withdraw(held);
  }

  #checkUsable(): void {
    if (this.#closed) throw new RegistryError("closed", "the memory registry is closed");
    if (!this.#store.reachable)
      throw new RegistryError("unreachable", "the memory registry is set unreachable");
  }

  #withdraw(held: Held): void {
    this.#held.delete(held);
    const entries = this.#store.entriesOf(held.registration.service);
    const address = formatAddress(held.entry.address);
    const left = (entries.get(address) ?? []).filter((one) => one !== held);
    if (left.length > 0) entries.set(address, left);
    else entries.delete(address);
    this.#store.changed();
  }

  #refreshAll(): void {
    for (const view of this.#views.values()) this.#refresh(view);
  }

  #refresh(view: ServiceView): void {
    if (this.#closed) return;
    if (!this.#store.reachable) {
      view.markStale();
      return;
    }
    view.publish(endpointsOf(this.#store.entriesOf(view.service)), false);
  }
}

/** The newest of each address. */
function endpointsOf(entries: ReadonlyMap<string, readonly Held[]>): Endpoint[] {
  const newest = [...entries.values()].map((held) => held.at(-1));
  return newest.filter((held) => held !== undefined).map(({ entry }) => toEndpoint(entry));
}
