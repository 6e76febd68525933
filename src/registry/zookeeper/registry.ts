import type { Filled } from "../../base/options.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
import { checkRegistration, checkServiceName, isServiceName, makeEntry, makeIncarnation } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import {
  type Endpoint,
  type Registration,
  type RegistrationHandle,
  type Registry,
  type ServiceListing,
  type Snapshot,
  shortServiceName,
  type Watch,
} from "../registry.js";
import { defaultSnapshotFolder, SnapshotFile } from "../snapshot-file.js";
import { keptAlive, withinStart } from "../start.js";
import { orderEndpoints, ServiceView } from "../view.js";
import { readClassic } from "./classic-reader.js";
import { connectZooKeeper } from "./client.js";
import { hasCode } from "./connection.js";
import { readService, ServiceConsumer } from "./consumer.js";
import { hasClassicPath, orMissing, rootPath } from "./layout.js";
import type { ZooKeeperRegistryOptions } from "./options.js";
import { ServiceProvider } from "./registration-keeper.js";
import { ZooKeeperSession } from "./session.js";
import { zooKeeperName } from "./url.js";

export const zooKeeperDefaults = {
  sessionTimeoutMs: 10_000,
  startTimeoutMs: 10_000,
  emptyGraceMs: 0,
} as const;

const notWatched = { watch: false, known: [] } as const;

/** The registry in ZooKeeper; see layout.ts for what it writes and reads. Nothing is connected before the first use. */
export class ZooKeeperRegistry implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly #options: ZooKeeperRegistryOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #session: ZooKeeperSession;
  readonly #snapshots: SnapshotFile | undefined;
  readonly #providers = new Set<ServiceProvider>();
  readonly #consumers = new Map<string, { consumer: ServiceConsumer; view: ServiceView }>();
  /** Whether a session of ours was lost since the last one was opened. */
  #sessionLost = false;
  #lastReason = "";
  #closed = false;

  constructor(options: ZooKeeperRegistryOptions) {
    const { servers, chroot = "", auth, snapshotFolder = defaultSnapshotFolder() } = options;
    this.#options = options;
    this.authenticated = auth !== undefined;
    this.#deps = fillDeps(options);
    this.name = zooKeeperName(options);
    this.#session = new ZooKeeperSession({
      ...{ servers, chroot, auth, deps: this.#deps },
      sessionTimeoutMs: options.sessionTimeoutMs ?? zooKeeperDefaults.sessionTimeoutMs,
      connect: options.connect ?? connectZooKeeper,
    });
    if (snapshotFolder !== false) {
      this.#snapshots = new SnapshotFile(snapshotFolder, this.name, this.#deps.log, this.#deps.clock);
    }
    this.#listen();
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { clock, random } = this.#deps;
    const provider = new ServiceProvider({
      ...{ session: this.#session, registration, deps: this.#deps },
      entry: makeEntry(registration, registration.incarnation ?? makeIncarnation(random), clock.wallNow()),
      onOver: () => this.#providers.delete(provider),
    });
    this.#providers.add(provider);
    this.#session.start();
    try {
      const what = `cannot register ${registration.service}`;
      await this.#withinStart(provider.established(), what, signal, () => provider.trouble);
    } catch (error) {
      void keptAlive(this.#deps.clock, provider.withdraw());
      throw error;
    }
    return { unregister: () => keptAlive(this.#deps.clock, provider.withdraw()) };
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    checkServiceName(service);
    if (this.#closed) return { current: undefined, close: () => {} };
    const { view } = this.#consumers.get(service) ?? this.#consume(service);
    this.#session.start();
    const onUnused = (): void => {
      const unused = this.#consumers.get(service);
      this.#consumers.delete(service);
      void unused?.consumer.close();
    };
    return view.add(onSnapshot, onUnused, onTrouble);
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#session.start();
    return this.#withinStart(this.#list(), "cannot list the services", signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Ending the session removes all our znodes at once.
    await this.#session.close();
    const consumers = [...this.#consumers.values()];
    await Promise.all(consumers.map(({ consumer }) => consumer.close()));
    await Promise.all([...this.#providers].map((provider) => provider.close()));
    this.#providers.clear();
    this.#consumers.clear();
  }

  #consume(service: string): { consumer: ServiceConsumer; view: ServiceView } {
    const { emptyGraceMs = zooKeeperDefaults.emptyGraceMs } = this.#options;
    const view = new ServiceView(service, this.#deps.log);
    const consumer = new ServiceConsumer({
      ...{ session: this.#session, view, deps: this.#deps },
      ...{ snapshots: this.#snapshots, emptyGraceMs },
    });
    const consumed = { consumer, view };
    this.#consumers.set(service, consumed);
    return consumed;
  }

  #listen(): void {
    const session = this.#session;
    session.on("session", () => {
      const afterLoss = this.#sessionLost;
      this.#sessionLost = false;
      for (const { consumer } of this.#consumers.values()) consumer.onSession(afterLoss);
      for (const provider of this.#providers) provider.onSession();
    });
    session.on("suspended", ({ reason }) => {
      this.#lastReason = reason.message;
      for (const { consumer } of this.#consumers.values()) consumer.onSuspended(reason);
      for (const provider of this.#providers) provider.onSuspended();
    });
    session.on("lost", () => {
      this.#sessionLost = true;
      for (const provider of [...this.#providers]) provider.onLost();
    });
    session.on("unreachable", ({ reason }) => {
      this.#lastReason = reason.message;
      for (const { consumer } of this.#consumers.values()) consumer.onUnreachable(reason);
    });
    session.on("changed", ({ path }) => {
      for (const { consumer } of this.#consumers.values()) consumer.onChanged(path);
      for (const provider of this.#providers) provider.onChanged(path);
    });
  }

  async #list(): Promise<ServiceListing[]> {
    await this.#connected();
    const session = this.#session;
    const services = ((await orMissing(session.children(rootPath))) ?? []).filter(isServiceName);
    const ours = await Promise.all(
      services.map(async (service) => {
        const endpoints = await this.#readable(service, readService(session, service, notWatched));
        return { service, endpoints: endpoints && orderEndpoints(endpoints) };
      }),
    );
    const listed: ServiceListing[] = [];
    // Their classic znodes name the same providers.
    const covered = new Set<string>();
    for (const { service, endpoints } of ours) {
      const offered = endpoints?.some(({ protocol }) => protocol === "mprpc");
      if (endpoints !== undefined && offered) listed.push({ service, endpoints });
      if (endpoints === undefined || offered) covered.add(shortServiceName(service));
    }
    const classic = await this.#listClassic((name) => !covered.has(name));
    return [...listed, ...classic].sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  /** Services that only C++ providers offer; their package is not known. Other programs' znodes are ignored. */
  async #listClassic(wanted: (name: string) => boolean): Promise<ServiceListing[]> {
    const session = this.#session;
    const names = ((await orMissing(session.children("/"))) ?? [])
      .filter((name) => isServiceName(name) && hasClassicPath(name))
      .filter(wanted);
    const found = await Promise.all(
      names.map(async (service) => {
        // Most of what may not be read there is other programs'.
        const endpoints = await this.#readable(service, readClassic(session, `/${service}`, false), "info");
        return { service, endpoints: orderEndpoints(endpoints ?? []) };
      }),
    );
    return found.filter(({ endpoints }) => endpoints.length > 0);
  }

  /** A service we may not read is missing in a list, and a warning says so. */
  async #readable(
    service: string,
    reading: Promise<Endpoint[]>,
    level: "warn" | "info" = "warn",
  ): Promise<Endpoint[] | undefined> {
    try {
      return await reading;
    } catch (error) {
      if (!hasCode(error, "NO_AUTH")) throw error;
      this.#deps.log[level]("cannot read a service from ZooKeeper", { service, error: reasonOf(error) });
      return undefined;
    }
  }

  #connected(): Promise<void> {
    if (this.#session.connected) return Promise.resolve();
    return new Promise((resolve) => {
      const unsubscribe = this.#session.on("session", () => {
        unsubscribe();
        resolve();
      });
    });
  }

  #withinStart<T>(
    work: Promise<T>,
    what: string,
    signal: AbortSignal | undefined,
    trouble: () => string = () => "",
  ): Promise<T> {
    return withinStart(work, {
      ...{ clock: this.#deps.clock, name: this.name, what, signal },
      timeoutMs: this.#options.startTimeoutMs ?? zooKeeperDefaults.startTimeoutMs,
      trouble: () => trouble() || this.#lastReason,
      isDenied: (error) => hasCode(error, "NO_AUTH"),
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }
}
