import { type Address, formatAddress, isReachable, parseAddress } from "../base/address.js";
import type { Filled } from "../base/options.js";
import { classicDialects } from "../protocol/classic/classic-wire.js";
import { fillDeps, type RegistryDeps } from "./deps.js";
import { checkRegistration, checkServiceName, isServiceName } from "./entry.js";
import { RegistryError } from "./errors.js";
import {
  type Endpoint,
  type Registration,
  type RegistrationHandle,
  type Registry,
  type ServiceListing,
  type Snapshot,
  shortServiceName,
  type Watch,
} from "./registry.js";
import { orderEndpoints, ServiceView } from "./view.js";

/** The service name that stands for "every service not named" in `list()`. */
export const anyService = "*";

export const staticForms =
  "static://host:port,host:port*weight (for every service; unix:/path in place of host:port) or static://Service=host:port|host:port,Other=host:port; ?protocol=grpc, or grpc://host:port, for gRPC servers; ?protocol=classic for C++ providers, with &dialect=le32, be32, varint or framed";

/** Whether `url` could be one; the constructor reads it in full. */
export function isStaticUrl(url: string): boolean {
  return /^static:\/\/[^?]*(?::\d|unix:\/|inproc:)/.test(url);
}

/**
 * Fixed endpoints from the URL itself; nothing is looked up and nothing changes. Registering succeeds and does nothing,
 * so that a provider runs with the same conf as its callers.
 */
export class StaticRegistry implements Registry {
  readonly name: string;
  readonly fixed = true;
  readonly #services: ReadonlyMap<string, readonly Endpoint[]>;
  readonly #deps: Filled<RegistryDeps>;

  /** `url` begins with `static://`. Throws RegistryError `invalid` that says what is wrong with it. */
  constructor(url: string, deps: RegistryDeps = {}) {
    this.name = url;
    this.#deps = fillDeps(deps);
    this.#services = parseStatic(url);
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    return { unregister: async () => {} };
  }

  watch(service: string, onSnapshot: (snapshot: Snapshot) => void): Watch {
    checkServiceName(service);
    const view = new ServiceView(service, this.#deps.log);
    view.publish(this.#endpointsOf(service), false);
    return view.add(onSnapshot, () => {});
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    return [...this.#services].map(([service, endpoints]) => ({ service, endpoints }));
  }

  async close(): Promise<void> {}

  /** The service's own endpoints, named in full or short, or else the unnamed ones. */
  #endpointsOf(service: string): readonly Endpoint[] {
    const named = this.#services.get(service) ?? this.#services.get(shortServiceName(service));
    return named ?? this.#services.get(anyService) ?? [];
  }
}

/** The options of a URL, and which protocol each goes with. */
const optionOwners: Readonly<Record<string, string | undefined>> = {
  ...{ protocol: undefined, dialect: "classic", compression: "grpc", authority: "grpc" },
};

function parseStatic(url: string): Map<string, readonly Endpoint[]> {
  const fail = (text: string) =>
    new RegistryError("invalid", `registry ${JSON.stringify(url)}: ${text}; allowed: ${staticForms}`);
  const [list = "", search = ""] = url.slice("static://".length).split(/\?(.*)/s);
  const kind = parseKind(search, fail);
  const services = new Map<string, Endpoint[]>();
  for (const item of list.replace(/\/$/, "").split(",")) {
    const [, service = anyService, addresses = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(item.trim()) ?? [];
    if (service !== anyService && !isServiceName(service)) {
      throw fail(`${JSON.stringify(service)} is not a service name`);
    }
    const endpoints = addresses.split("|").map((text) => parseEndpoint(text.trim(), kind, fail));
    services.set(service, [...(services.get(service) ?? []), ...endpoints]);
  }
  return new Map([...services].map(([service, endpoints]) => [service, orderEndpoints(endpoints)]));
}

/** The common options of all endpoints of a URL. */
export type EndpointKind = Pick<Endpoint, "protocol" | "attributes">;

function parseKind(search: string, fail: (text: string) => RegistryError): EndpointKind {
  const options = new URLSearchParams(search);
  for (const key of options.keys()) {
    if (!(key in optionOwners)) {
      throw fail(
        `unknown option ${JSON.stringify(key)} (known: protocol, ${Object.keys(optionOwners).slice(1).join(", ")})`,
      );
    }
  }
  return endpointKind(options, fail);
}

/** The values of `protocol=` and `dialect=`. */
export function endpointKind(options: URLSearchParams, fail: (text: string) => RegistryError): EndpointKind {
  const protocol = options.get("protocol") ?? "mprpc";
  if (protocol !== "mprpc" && protocol !== "classic" && protocol !== "grpc") {
    throw fail(`protocol ${JSON.stringify(protocol)} is not mprpc, grpc or classic`);
  }
  const attributes: Record<string, string> = {};
  for (const [key, owner] of Object.entries(optionOwners)) {
    const value = options.get(key);
    if (value === null || owner === undefined) continue;
    if (protocol !== owner) throw fail(`a ${key} goes with protocol=${owner}`);
    attributes[key] = value;
  }
  const { dialect, compression } = attributes;
  if (dialect !== undefined && !classicDialects.some((known) => known === dialect)) {
    throw fail(`dialect ${JSON.stringify(dialect)} is not one of ${classicDialects.join(", ")}`);
  }
  if (compression !== undefined && compression !== "gzip") {
    throw fail(`compression ${JSON.stringify(compression)} is not gzip`);
  }
  return { protocol, attributes };
}

function parseEndpoint(text: string, kind: EndpointKind, fail: (text: string) => RegistryError): Endpoint {
  const grpc = text.startsWith("grpc://");
  const [host = "", weightText = "1"] = (grpc ? text.slice("grpc://".length) : text).split(/\*(.*)/s);
  const address: Address | undefined = parseAddress(host);
  if (address === undefined || !isReachable(address))
    throw fail(`${JSON.stringify(text)} is not host:port or unix:/path`);
  const weight = Number(weightText);
  if (!(weight > 0) || weight > 1_000_000) {
    throw fail(
      `weight ${JSON.stringify(weightText)} of ${formatAddress(address)} is not a number above 0, at most 1000000`,
    );
  }
  if (!grpc) return { ...address, ...kind, weight };
  const attributes = kind.protocol === "grpc" ? kind.attributes : {};
  return { ...address, protocol: "grpc", attributes, weight };
}
