import { type Address, formatAddress } from "../../base/address.js";
import { Backoff, registryBackoff } from "../../base/backoff.js";
import type { Filled } from "../../base/options.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
import { checkServiceName } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import {
  type Endpoint,
  type Resolver,
  type ServiceListing,
  type Snapshot,
  shortServiceName,
  type Watch,
} from "../registry.js";
import { anyService, type EndpointKind } from "../static.js";
import { orderEndpoints, ServiceView } from "../view.js";
import { DnsLookup, type Found, isNegative } from "./lookup.js";

/** What is looked up, and the port its addresses are called at; 0 with SRV records, which have their own. */
export type DnsName = Address;

export interface DnsResolverOptions extends RegistryDeps {
  /** What is looked up for each service, by its full or short name; `*` for those not named. */
  names: ReadonlyMap<string, DnsName>;
  /** Look SRV records up, which have ports and weights. Default false. */
  srv?: boolean | undefined;
  /** How often a name in use is looked up, ms. Default 30,000. */
  refreshMs?: number | undefined;
  /** The name server to ask. Default: the system's. */
  server?: Address | undefined;
  /** What all endpoints have in common. Default: they speak mprpc. */
  kind?: EndpointKind | undefined;
}

const defaultRefreshMs = 30_000;
const defaultKind: EndpointKind = { protocol: "mprpc", attributes: {} };

/**
 * Endpoints from the DNS, such as those of a headless service of Kubernetes. The names are looked up periodically. An
 * empty answer keeps the last list, marked stale: a starting name server, or a zone being written, also gives empty
 * answers, and calls to an endpoint that is really gone go to the others.
 */
export class DnsResolver implements Resolver {
  readonly name: string;
  readonly #options: DnsResolverOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #lookup: DnsLookup;
  readonly #watched = new Map<string, WatchedName>();
  #closed = false;

  constructor(options: DnsResolverOptions) {
    this.#options = options;
    this.#deps = fillDeps(options);
    this.#lookup = new DnsLookup(options.server);
    const list = [...options.names].map(
      ([service, name]) => (service === anyService ? "" : `${service}=`) + formatName(name),
    );
    this.name = `dns:///${list.join(",")}`;
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    checkServiceName(service);
    if (this.#closed) return { current: undefined, close: () => {} };
    const name = this.#nameOf(service);
    if (name === undefined) {
      const view = new ServiceView(service, this.#deps.log);
      view.publish([], false);
      return view.add(onSnapshot, () => {});
    }
    const key = formatName(name);
    const watched = this.#watched.get(key) ?? this.#follow(key, name);
    return watched.view.add(
      onSnapshot,
      () => {
        this.#watched.delete(key);
        void watched.close();
      },
      onTrouble,
    );
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    if (this.#closed) throw new RegistryError("closed", `the registry ${this.name} is closed`);
    const listed = [...this.#options.names].map(async ([service, name]) => {
      try {
        return { service, endpoints: orderEndpoints(await this.#endpointsOf(name)) };
      } catch (error) {
        if (isNegative(error)) return { service, endpoints: [] };
        throw new RegistryError("unreachable", `${this.name}: ${reasonOf(error)}`, error);
      }
    });
    const all = await Promise.all(listed);
    signal?.throwIfAborted();
    return all.filter(({ endpoints }) => endpoints.length > 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const watched = [...this.#watched.values()];
    this.#watched.clear();
    this.#lookup.cancel();
    await Promise.all(watched.map((one) => one.close()));
  }

  #nameOf(service: string): DnsName | undefined {
    const { names } = this.#options;
    return names.get(service) ?? names.get(shortServiceName(service)) ?? names.get(anyService);
  }

  #follow(key: string, name: DnsName): WatchedName {
    const { refreshMs = defaultRefreshMs } = this.#options;
    const watched = new WatchedName({
      ...{ name: key, refreshMs, deps: this.#deps },
      read: () => this.#endpointsOf(name),
    });
    this.#watched.set(key, watched);
    return watched;
  }

  async #endpointsOf(name: DnsName): Promise<Endpoint[]> {
    const { srv = false, kind = defaultKind } = this.#options;
    const found: Found[] = srv
      ? await this.#lookup.services(name.host)
      : (await this.#lookup.addresses(name.host)).map((host) => ({ host, port: name.port, weight: 1 }));
    return found.map((one) => ({ ...one, ...kind }));
  }
}

function formatName(name: DnsName): string {
  return name.port === 0 ? name.host : formatAddress(name);
}

interface WatchedNameOptions {
  name: string;
  refreshMs: number;
  deps: Filled<RegistryDeps>;
  read: () => Promise<Endpoint[]>;
}

/** One name, looked up as long as it is in use. */
class WatchedName {
  readonly view: ServiceView;
  readonly #options: WatchedNameOptions;
  readonly #backoff: Backoff;
  readonly #reconciler: Reconciler;
  #lastWarning = "";
  #closed = false;

  constructor(options: WatchedNameOptions) {
    this.#options = options;
    const { deps, name } = options;
    this.view = new ServiceView(name, deps.log);
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#read(),
      onError: (error) => this.#onError(error),
    });
    this.#reconciler.trigger();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reconciler.stop();
  }

  async #read(): Promise<number> {
    const { read, refreshMs, deps } = this.#options;
    const endpoints = await read();
    if (!this.#closed) this.view.publish(endpoints, false);
    this.#lastWarning = "";
    this.#backoff.reset();
    return refreshMs * (0.9 + 0.2 * deps.random());
  }

  #onError(error: unknown): number | undefined {
    const { name, refreshMs, deps } = this.#options;
    if (this.#closed) return undefined;
    const text = isNegative(error)
      ? `the DNS has no address for ${name} (${reasonOf(error)}); is the name right, and is any instance ready?`
      : `cannot look ${name} up: ${reasonOf(error)}`;
    if (text !== this.#lastWarning) deps.log.warn("cannot look endpoints up in the DNS", { error: text });
    this.#lastWarning = text;
    this.view.markStale();
    this.view.setTrouble(new RegistryError("unreachable", text, error));
    return Math.min(refreshMs, this.#backoff.next());
  }
}
