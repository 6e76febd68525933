import type { Address } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { checkRegistration, checkServiceName, makeEntry, makeIncarnation } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import type {
  Registration,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "../registry.js";
import { defaultSnapshotFolder, SnapshotFile } from "../snapshot-file.js";
import { keptAlive, withinStart } from "../start.js";
import { ServiceView } from "../view.js";
import type { Link } from "./link.js";
import type { KeptRegistration, KeptRegistrationParts } from "./registration.js";
import type { ReadService, ReadServiceParts } from "./service.js";

/** The options of every registry that is asked at its servers. */
export interface ServedRegistryOptions extends RegistryDeps {
  /** How long `register` and `list` wait for the servers, ms. Default 10,000. */
  startTimeoutMs?: number | undefined;
  /** How long an empty list is ignored after a non-empty one, ms. Default 0: used at once. */
  emptyGraceMs?: number | undefined;
  /** Where the last good lists are kept for a start without the servers; false: nowhere. Default `~/.cache/mprpc`. */
  snapshotFolder?: string | false | undefined;
}

/** What a driver has of its own. */
export interface ServedDriver<Service extends ReadService> {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers: readonly Address[];
  readonly link: Link;
  readonly deps: Filled<RegistryDeps>;
  readonly ttlMs: number;
  openService(parts: ReadServiceParts): Service;
  openRegistration(parts: KeptRegistrationParts<Service>): KeptRegistration<Service, unknown>;
  /** Every service and its endpoints; the link is up. */
  list(): Promise<ServiceListing[]>;
  /** Whether an error means missing permissions. */
  isDenied(error: unknown): boolean;
  /** How many services are read from now on. */
  onServices?(count: number): void;
}

/** A registry in which each service is read for as long as somebody wants it, and each registration kept up. Nothing is connected before the first use. */
export class ServedRegistry<Service extends ReadService> implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers: readonly Address[];
  readonly #driver: ServedDriver<Service>;
  readonly #deps: Filled<RegistryDeps>;
  readonly #startTimeoutMs: number;
  readonly #emptyGraceMs: number;
  readonly #snapshots: SnapshotFile | undefined;
  readonly #services = new Map<string, Service>();
  readonly #registrations = new Set<KeptRegistration<Service, unknown>>();
  #lastReason = "";
  #closing: Promise<void> | undefined;

  constructor(driver: ServedDriver<Service>, options: ServedRegistryOptions) {
    const { startTimeoutMs = 10_000, emptyGraceMs = 0, snapshotFolder = defaultSnapshotFolder() } = options;
    this.name = driver.name;
    this.authenticated = driver.authenticated;
    this.servers = driver.servers;
    this.#driver = driver;
    this.#deps = driver.deps;
    this.#startTimeoutMs = startTimeoutMs;
    this.#emptyGraceMs = emptyGraceMs;
    const { log, clock } = driver.deps;
    if (snapshotFolder !== false) this.#snapshots = new SnapshotFile(snapshotFolder, this.name, log, clock);
    driver.link.on("up", () => this.#onUp());
    driver.link.on("down", ({ reason }) => this.#onDown(reason));
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { link, ttlMs } = this.#driver;
    const { clock, random } = this.#deps;
    const incarnation = registration.incarnation ?? makeIncarnation(random);
    const { service: name } = registration;
    const one = this.#driver.openRegistration({
      ...{ registration, link, deps: this.#deps, ttlMs },
      entry: makeEntry(registration, incarnation, clock.wallNow()),
      service: this.#open(name),
      onOver: () => {
        this.#registrations.delete(one);
        this.#closeUnused(name);
      },
    });
    this.#registrations.add(one);
    link.start();
    try {
      const what = `cannot register ${name}`;
      await this.#withinStart(one.established(), what, signal, () => one.trouble);
    } catch (error) {
      void keptAlive(clock, one.withdraw());
      throw error;
    }
    return { unregister: () => keptAlive(clock, one.withdraw()) };
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    checkServiceName(service);
    if (this.#closing !== undefined) return { current: undefined, close: () => {} };
    const { view } = this.#open(service);
    this.#driver.link.start();
    return view.add(onSnapshot, () => this.#closeUnused(service), onTrouble);
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#driver.link.start();
    return this.#withinStart(this.#list(), "cannot list the services", signal);
  }

  close(): Promise<void> {
    this.#closing ??= keptAlive(this.#deps.clock, this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#registrations].map((one) => one.close()));
    this.#registrations.clear();
    const services = [...this.#services.values()];
    this.#services.clear();
    const closed = services.map((service) => service.close());
    await this.#driver.link.stop();
    await Promise.all(closed);
  }

  async #list(): Promise<ServiceListing[]> {
    const { link } = this.#driver;
    if (!link.up) {
      await new Promise<void>((resolve) => {
        const unsubscribe = link.on("up", () => {
          unsubscribe();
          resolve();
        });
      });
    }
    return this.#driver.list();
  }

  #open(name: string): Service {
    const open = this.#services.get(name);
    if (open !== undefined) return open;
    const { link, ttlMs } = this.#driver;
    const service = this.#driver.openService({
      ...{ link, deps: this.#deps, ttlMs, snapshots: this.#snapshots, emptyGraceMs: this.#emptyGraceMs },
      view: new ServiceView(name, this.#deps.log),
    });
    this.#services.set(name, service);
    this.#driver.onServices?.(this.#services.size);
    return service;
  }

  /** A service that is neither watched nor registered here is not read. */
  #closeUnused(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || service.inUse) return;
    this.#services.delete(name);
    this.#driver.onServices?.(this.#services.size);
    void service.close();
  }

  #onUp(): void {
    this.#lastReason = "";
    for (const service of this.#services.values()) service.onUp();
    for (const one of this.#registrations) one.onUp();
  }

  #onDown(reason: Error): void {
    this.#lastReason = reasonOf(reason);
    for (const service of this.#services.values()) service.onDown(reason);
    for (const one of this.#registrations) one.onDown();
  }

  #withinStart<T>(
    work: Promise<T>,
    what: string,
    signal: AbortSignal | undefined,
    trouble: () => string = () => "",
  ): Promise<T> {
    return withinStart(work, {
      ...{ clock: this.#deps.clock, name: this.name, what, signal },
      timeoutMs: this.#startTimeoutMs,
      trouble: () => trouble() || this.#lastReason,
      isDenied: (error) => this.#driver.isDenied(error),
    });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }
}
