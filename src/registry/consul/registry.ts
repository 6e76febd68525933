import type { Address } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
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
import { ConsulAgents } from "./agents.js";
import { ConsulRefusal } from "./answers.js";
import { ConsulCatalog } from "./catalog.js";
import { ConsulHttp } from "./http.js";
import { ConsulRegistration } from "./registration.js";
import { ConsulService } from "./service.js";
import { consulName } from "./url.js";

export interface ConsulRegistryOptions extends RegistryDeps {
  /** HTTP APIs of agents; at least one. One at a time is used, the first by chance. */
  agents: readonly Address[];
  /** Names in Consul begin with it and a `/`. Default: none. */
  prefix?: string | undefined;
  /** The ACL token. Default: none. */
  token?: string | undefined;
  /** Default: that of the agent. */
  datacenter?: string | undefined;
  /** HTTPS. Default false. */
  tls?: boolean | undefined;
  /** Certificates of the authorities to trust with `tls`, PEM. Default: the system's. */
  ca?: string | undefined;
  /** How long a silent provider stays listed, ms. Default 15,000. A provider renews three times in it. */
  ttlMs?: number | undefined;
  /** How long `register` and `list` wait for Consul, ms. Default 10,000. */
  startTimeoutMs?: number | undefined;
  /** How long an empty list is ignored after a non-empty one, ms. Default 0: used at once. */
  emptyGraceMs?: number | undefined;
  /** Where the last good lists are kept for a start without Consul; false: nowhere. Default `~/.cache/mprpc`. */
  snapshotFolder?: string | false | undefined;
}

const defaults = { ttlMs: 15_000, startTimeoutMs: 10_000, emptyGraceMs: 0 } as const;
const requestTimeoutMaxMs = 3000;
/** An agent is abandoned before the others count it as lost, which takes some 5 s. */
const pingMaxMs = 1500;
const pingTimeoutMaxMs = 2000;

/** The registry in Consul. Nothing is connected before the first use. */
export class ConsulRegistry implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers: readonly Address[];
  readonly #options: ConsulRegistryOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #ttlMs: number;
  readonly #requestTimeoutMs: number;
  readonly #agents: ConsulAgents;
  readonly #catalog: ConsulCatalog;
  readonly #snapshots: SnapshotFile | undefined;
  readonly #services = new Map<string, ConsulService>();
  readonly #registrations = new Set<ConsulRegistration>();
  #lastReason = "";
  #closing: Promise<void> | undefined;

  constructor(options: ConsulRegistryOptions) {
    const { agents, prefix, token, datacenter, tls = false, ca, snapshotFolder } = options;
    this.#options = options;
    this.#deps = fillDeps(options);
    this.#ttlMs = options.ttlMs ?? defaults.ttlMs;
    this.name = consulName(options);
    this.authenticated = token !== undefined;
    this.servers = agents;
    this.#requestTimeoutMs = Math.min(requestTimeoutMaxMs, Math.max(1000, this.#ttlMs / 3));
    const { clock } = this.#deps;
    this.#agents = new ConsulAgents({
      addresses: agents,
      http: new ConsulHttp({ clock, token, datacenter, tls, ca }),
      deps: this.#deps,
      pingMs: Math.min(pingMaxMs, this.#ttlMs / 4),
      pingTimeoutMs: Math.min(pingTimeoutMaxMs, Math.max(500, this.#ttlMs / 3)),
    });
    this.#catalog = new ConsulCatalog({
      ...{ agents: this.#agents, deps: this.#deps, requestTimeoutMs: this.#requestTimeoutMs },
      prefix: prefix === undefined ? "" : `${prefix}/`,
    });
    const folder = snapshotFolder ?? defaultSnapshotFolder();
    if (folder !== false) this.#snapshots = new SnapshotFile(folder, this.name, this.#deps.log, clock);
    this.#agents.on("up", () => this.#onUp());
    this.#agents.on("down", ({ reason }) => this.#onDown(reason));
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { clock, random } = this.#deps;
    const incarnation = registration.incarnation ?? makeIncarnation(random);
    const { service: name } = registration;
    const one = new ConsulRegistration({
      ...{ registration, catalog: this.#catalog, agents: this.#agents, deps: this.#deps },
      ...{ ttlMs: this.#ttlMs, requestTimeoutMs: this.#requestTimeoutMs },
      entry: makeEntry(registration, incarnation, clock.wallNow()),
      service: this.#open(name),
      onOver: () => {
        this.#registrations.delete(one);
        this.#closeUnused(name);
      },
    });
    this.#registrations.add(one);
    this.#agents.start();
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
    this.#agents.start();
    return view.add(onSnapshot, () => this.#closeUnused(service), onTrouble);
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#agents.start();
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
    await this.#agents.stop();
    await Promise.all(closed);
  }

  async #list(): Promise<ServiceListing[]> {
    if (!this.#agents.up) {
      await new Promise<void>((resolve) => {
        const unsubscribe = this.#agents.on("up", () => {
          unsubscribe();
          resolve();
        });
      });
    }
    return this.#catalog.list();
  }

  #open(name: string): ConsulService {
    const open = this.#services.get(name);
    if (open !== undefined) return open;
    const { emptyGraceMs = defaults.emptyGraceMs } = this.#options;
    const service = new ConsulService({
      ...{ catalog: this.#catalog, agents: this.#agents, deps: this.#deps, snapshots: this.#snapshots },
      ...{ emptyGraceMs, ttlMs: this.#ttlMs },
      view: new ServiceView(name, this.#deps.log),
    });
    this.#services.set(name, service);
    this.#catalog.setReaders(this.#services.size);
    return service;
  }

  /** A service that is neither watched nor registered here costs no question. */
  #closeUnused(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || service.inUse) return;
    this.#services.delete(name);
    this.#catalog.setReaders(this.#services.size);
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
      timeoutMs: this.#options.startTimeoutMs ?? defaults.startTimeoutMs,
      trouble: () => trouble() || this.#lastReason,
      isDenied: (error) => error instanceof ConsulRefusal && error.denied,
    });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }
}
