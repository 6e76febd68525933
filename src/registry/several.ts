import type { Address } from "../base/address.js";
import { formatAddress } from "../base/address.js";
import { Backoff, type BackoffOptions } from "../base/backoff.js";
import type { Timer } from "../base/clock.js";
import type { Filled } from "../base/options.js";
import { fillDeps, type RegistryDeps } from "./deps.js";
import { checkRegistration, checkServiceName, makeIncarnation } from "./entry.js";
import { RegistryError, reasonOf } from "./errors.js";
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

/** Registering where a registry did not answer at the start. Each try waits for the driver's own start-up time first. */
const lateBackoff: BackoffOptions = { initialMs: 1000, maxMs: 30_000, factor: 2, jitter: 0.2 };

/**
 * Several registries at a time, to move from one to another: providers register in all of them, callers see the union by
 * address. One that does not answer does not affect the others, and its last list still counts.
 */
export class SeveralRegistries implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers?: readonly Address[];
  readonly #registries: readonly Registry[];
  readonly #deps: Filled<RegistryDeps>;
  readonly #registrations = new Set<SeveralRegistrations>();
  #closed = false;

  /** At least two registries; `close` closes them. */
  constructor(registries: readonly Registry[], deps: RegistryDeps = {}) {
    this.#registries = registries;
    this.#deps = fillDeps(deps);
    this.name = registries.map(({ name }) => name).join(" ");
    // If one of them is protected, calls must not go to entries that anybody can write into another.
    this.authenticated = registries.some(({ authenticated }) => authenticated === true);
    const servers = registries.find((one) => one.servers !== undefined && one.servers.length > 0)?.servers;
    if (servers !== undefined) this.servers = servers;
  }

  /**
   * Resolves when every registry that answers has it, one at least; it is registered in the others as soon as they answer.
   * Rejects when none answers, or when any refuses it permanently.
   */
  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const registrations = new SeveralRegistrations(this.#registries, registration, this.#deps);
    this.#registrations.add(registrations);
    const withdraw = async () => {
      await registrations.withdraw();
      this.#registrations.delete(registrations);
    };
    try {
      await registrations.make(signal);
    } catch (error) {
      await withdraw();
      throw error;
    }
    return { unregister: withdraw };
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    checkServiceName(service);
    if (this.#closed) return { current: undefined, close: () => {} };
    const view = new ServiceView(service, this.#deps.log);
    const union = new Union(this.#registries, view);
    return view.add(onSnapshot, () => union.close(), onTrouble);
  }

  /** The services of those that answer. Rejects when none does. */
  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    const lists = await Promise.allSettled(this.#registries.map((one) => one.list(signal)));
    signal?.throwIfAborted();
    const endpoints = new Map<string, Endpoint[]>();
    const refused: unknown[] = [];
    for (const [i, list] of lists.entries()) {
      if (list.status === "rejected") {
        refused.push(list.reason);
        const facts = { registry: this.#registries[i]?.name, error: reasonOf(list.reason) };
        this.#deps.log.warn("a registry cannot list its services", facts);
        continue;
      }
      for (const listing of list.value)
        endpoints.set(listing.service, [...(endpoints.get(listing.service) ?? []), ...listing.endpoints]);
    }
    if (refused.length === lists.length) throw refused[0];
    return [...endpoints]
      .map(([service, all]) => ({ service, endpoints: unionOf(all) }))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const one of this.#registrations) one.giveUp();
    await Promise.all(this.#registries.map((one) => one.close()));
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }
}

/** Each address once, sorted; mprpc entries take precedence over other protocols. */
function unionOf(endpoints: readonly Endpoint[]): Endpoint[] {
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const address = formatAddress(endpoint);
    const before = byAddress.get(address);
    if (before === undefined || (before.protocol !== "mprpc" && endpoint.protocol === "mprpc"))
      byAddress.set(address, endpoint);
  }
  return [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

/** The state of a service in one registry. */
interface Part {
  snapshot: Snapshot | undefined;
  trouble: RegistryError | undefined;
}

/** The lists of one service in several registries, as one. */
class Union {
  readonly #view: ServiceView;
  readonly #parts: readonly Part[];
  readonly #watches: readonly Watch[];

  constructor(registries: readonly Registry[], view: ServiceView) {
    this.#view = view;
    this.#parts = registries.map(() => ({ snapshot: undefined, trouble: undefined }));
    this.#watches = registries.map((registry, i) => {
      const part = this.#parts[i] as Part;
      return registry.watch(
        view.service,
        (snapshot) => {
          part.snapshot = snapshot;
          if (!snapshot.stale) part.trouble = undefined;
          this.#publish();
        },
        (trouble) => {
          part.trouble = trouble;
          this.#publish();
        },
      );
    });
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  #publish(): void {
    const known = this.#parts.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]));
    // A registry that has reported neither a list nor a failure may answer at any moment.
    const awaited = this.#parts.some(
      ({ snapshot, trouble }) => trouble === undefined && (snapshot === undefined || snapshot.hint === true),
    );
    const fresh = known.some(({ hint }) => hint !== true);
    if (known.length > 0) {
      const endpoints = unionOf(known.flatMap((snapshot) => snapshot.endpoints));
      const stale = known.length < this.#parts.length || known.some((snapshot) => snapshot.stale);
      // Do not report an empty list before all registries could answer.
      const early = awaited && endpoints.length === 0 && this.#view.current === undefined;
      if (!early) this.#view.publish(endpoints, stale, awaited || !fresh);
    }
    const troubles = this.#parts.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble]));
    const [first] = troubles;
    if (first === undefined || troubles.length < this.#parts.length) return;
    const denied = troubles.find(({ code }) => code === "denied");
    const text = troubles.map(({ message }) => message).join("; ");
    this.#view.setTrouble(
      troubles.every(({ code }) => code === "denied") ? (denied ?? first) : trouble(text),
    );
  }
}

function trouble(text: string): RegistryError {
  return new RegistryError("unreachable", text);
}

/** One registration in several registries. */
class SeveralRegistrations {
  readonly #registries: readonly Registry[];
  readonly #registration: Registration;
  readonly #deps: Filled<RegistryDeps>;
  readonly #handles: RegistrationHandle[] = [];
  /** Aborts the later tries. */
  readonly #over = new AbortController();
  readonly #timers = new Set<Timer>();
  readonly #late = new Set<Promise<void>>();
  /** How often each registry has reported a newer provider at the address, and how often that was passed on. */
  readonly #lostTimes = new Map<Registry, number>();
  #lostTold = 0;

  constructor(registries: readonly Registry[], registration: Registration, deps: Filled<RegistryDeps>) {
    this.#registries = registries;
    this.#deps = deps;
    this.#registration = {
      ...registration,
      // One incarnation, the same in all registries.
      incarnation: registration.incarnation ?? makeIncarnation(deps.random),
    };
  }

  async make(signal: AbortSignal | undefined): Promise<void> {
    const made = await Promise.allSettled(this.#registries.map((one) => this.#registerIn(one, signal)));
    const refusals = made.map((one) => (one.status === "rejected" ? (one.reason as unknown) : undefined));
    signal?.throwIfAborted();
    const final = refusals.find((reason) => reason !== undefined && !isUnreachable(reason));
    if (final !== undefined) throw final;
    if (this.#handles.length === 0) throw refusals[0];
    for (const [i, reason] of refusals.entries()) {
      const registry = this.#registries[i];
      if (reason === undefined || registry === undefined) continue;
      this.#deps.log.warn("a registry does not answer; this provider is registered there when it does", {
        ...{ registry: registry.name, service: this.#registration.service, error: reasonOf(reason) },
      });
      this.#registerLater(registry, new Backoff(lateBackoff, this.#deps.random));
    }
  }

  giveUp(): void {
    this.#over.abort(new RegistryError("closed", "the registration was withdrawn"));
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  async withdraw(): Promise<void> {
    this.giveUp();
    await Promise.all(this.#late);
    await Promise.all(this.#handles.map((handle) => handle.unregister()));
  }

  async #registerIn(registry: Registry, signal: AbortSignal | undefined): Promise<void> {
    const handle = await registry.register(
      { ...this.#registration, onLost: (reason) => this.#onLost(registry, reason) },
      signal,
    );
    this.#handles.push(handle);
  }

  #registerLater(registry: Registry, backoff: Backoff): void {
    if (this.#over.signal.aborted) return;
    const timer = this.#deps.clock.setTimer(() => {
      this.#timers.delete(timer);
      const late = this.#tryLate(registry, backoff).finally(() => this.#late.delete(late));
      this.#late.add(late);
    }, backoff.next());
    this.#timers.add(timer);
  }

  async #tryLate(registry: Registry, backoff: Backoff): Promise<void> {
    const facts = { registry: registry.name, service: this.#registration.service };
    try {
      await this.#registerIn(registry, this.#over.signal);
      this.#deps.log.info("registered in a registry that did not answer before", facts);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      if (!isUnreachable(error))
        this.#deps.log.warn("cannot register in a registry", { ...facts, error: reasonOf(error) });
      this.#registerLater(registry, backoff);
    }
  }

  /** A newer provider takes the address in every registry; report it once. */
  #onLost(registry: Registry, reason: Error): void {
    const times = (this.#lostTimes.get(registry) ?? 0) + 1;
    this.#lostTimes.set(registry, times);
    if (times <= this.#lostTold) return;
    this.#lostTold = times;
    tellLost(this.#registration, reason, this.#deps.log);
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "unreachable";
}
