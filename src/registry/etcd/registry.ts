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
import { EtcdConnection } from "./connection.js";
import { KV } from "./gen/rpc.js";
import { listServices, rangeOf } from "./layout.js";
import { EtcdRefusal } from "./refusal.js";
import { EtcdRegistration } from "./registration.js";
import { EtcdService } from "./service.js";
import { etcdTransport } from "./transport.js";
import { etcdDefaultPrefix, etcdName } from "./url.js";

export interface EtcdRegistryOptions extends RegistryDeps {
  /** Client ports of members; at least one. One at a time is used, the first by chance. */
  members: readonly Address[];
  /** Keys begin with `/`, it and another `/`. Default `mprpc`. */
  prefix?: string | undefined;
  /** Who we are, where etcd has access control. Default: nobody. */
  user?: string | undefined;
  /** The password of `user`. */
  password?: string | undefined;
  /** TLS. Default false. */
  tls?: boolean | undefined;
  /** A file with certificates of the authorities to trust with `tls`, PEM. Default: Node's. */
  ca?: string | undefined;
  /** A file with our own certificate, PEM, for an etcd that asks for one; with `key`. */
  cert?: string | undefined;
  key?: string | undefined;
  /** How long a silent provider stays listed, ms, in whole seconds. Default 15,000; etcd itself takes no less than 2,000. A provider is heard three times in it. */
  ttlMs?: number | undefined;
  /** How long `register` and `list` wait for etcd, ms. Default 10,000. */
  startTimeoutMs?: number | undefined;
  /** How long an empty list is not believed after one that was not, ms. Default 0: believed at once. */
  emptyGraceMs?: number | undefined;
  /** Where the last good lists are kept for a start without etcd; false: nowhere. Default `~/.cache/mprpc`. */
  snapshotFolder?: string | false | undefined;
}

const defaults = {
  prefix: etcdDefaultPrefix,
  ttlMs: 15_000,
  startTimeoutMs: 10_000,
  emptyGraceMs: 0,
} as const;
const requestTimeoutMaxMs = 3000;
const pingMaxMs = 1500;
const pingTimeoutMaxMs = 2000;

/** The registry in etcd, which is spoken to in gRPC. Nothing is connected before the first use. */
export class EtcdRegistry implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers: readonly Address[];
  readonly #options: EtcdRegistryOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #ttlMs: number;
  readonly #requestTimeoutMs: number;
  /** What all keys begin with. */
  readonly #folder: string;
  readonly #connection: EtcdConnection;
  readonly #snapshots: SnapshotFile | undefined;
  readonly #services = new Map<string, EtcdService>();
  readonly #registrations = new Set<EtcdRegistration>();
  #lastReason = "";
  #closing: Promise<void> | undefined;

  /** Throws RegistryError `invalid` when the files of `ca`, `cert` or `key` cannot be used. */
  constructor(options: EtcdRegistryOptions) {
    const { members, prefix = defaults.prefix, user, password = "", snapshotFolder } = options;
    this.#options = options;
    this.#deps = fillDeps(options);
    this.#ttlMs = options.ttlMs ?? defaults.ttlMs;
    this.name = etcdName(options);
    this.authenticated = user !== undefined;
    this.servers = members;
    this.#folder = `/${prefix}/`;
    this.#requestTimeoutMs = Math.min(requestTimeoutMaxMs, Math.max(1000, this.#ttlMs / 3));
    this.#connection = new EtcdConnection({
      addresses: members,
      transport: etcdTransport(options),
      credentials: user === undefined ? undefined : { user, password },
      folder: this.#folder,
      deps: this.#deps,
      pingMs: Math.min(pingMaxMs, this.#ttlMs / 4),
      pingTimeoutMs: Math.min(pingTimeoutMaxMs, Math.max(500, this.#ttlMs / 3)),
    });
    const folder = snapshotFolder ?? defaultSnapshotFolder();
    if (folder !== false)
      this.#snapshots = new SnapshotFile(folder, this.name, this.#deps.log, this.#deps.clock);
    this.#connection.on("up", () => this.#onUp());
    this.#connection.on("down", ({ reason }) => this.#onDown(reason));
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { clock, random } = this.#deps;
    const incarnation = registration.incarnation ?? makeIncarnation(random);
    const { service: name } = registration;
    const one = new EtcdRegistration({
      ...{ registration, connection: this.#connection, folder: this.#folder, deps: this.#deps },
      ...{ ttlMs: this.#ttlMs, requestTimeoutMs: this.#requestTimeoutMs },
      entry: makeEntry(registration, incarnation, clock.wallNow()),
      service: this.#open(name),
      onOver: () => {
        this.#registrations.delete(one);
        this.#closeUnused(name);
      },
    });
    this.#registrations.add(one);
    this.#connection.start();
    try {
      await this.#withinStart(one.established(), `cannot register ${name}`, signal, () => one.trouble);
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
    this.#connection.start();
    return view.add(onSnapshot, () => this.#closeUnused(service), onTrouble);
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#connection.start();
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
    await this.#connection.stop();
    await Promise.all(closed);
  }

  async #list(): Promise<ServiceListing[]> {
    if (!this.#connection.up) {
      await new Promise<void>((resolve) => {
        const unsubscribe = this.#connection.on("up", () => {
          unsubscribe();
          resolve();
        });
      });
    }
    const range = rangeOf(this.#folder);
    const { kvs } = await this.#connection.call(KV.methods.range, range, this.#requestTimeoutMs);
    return listServices(this.#folder, kvs);
  }

  #open(name: string): EtcdService {
    const open = this.#services.get(name);
    if (open !== undefined) return open;
    const { emptyGraceMs = defaults.emptyGraceMs } = this.#options;
    const service = new EtcdService({
      ...{ connection: this.#connection, deps: this.#deps, snapshots: this.#snapshots },
      ...{ folder: this.#folder, emptyGraceMs, ttlMs: this.#ttlMs },
      requestTimeoutMs: this.#requestTimeoutMs,
      view: new ServiceView(name, this.#deps.log),
    });
    this.#services.set(name, service);
    return service;
  }

  /** A service that is neither watched nor registered here costs no watch. */
  #closeUnused(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || service.inUse) return;
    this.#services.delete(name);
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
      isDenied: (error) => error instanceof EtcdRefusal && error.denied,
    });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }
}
