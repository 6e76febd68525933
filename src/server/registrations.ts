import { setMaxListeners } from "node:events";
import { type Address, formatAddress, schemeOf } from "../base/address.js";
import { textOf } from "../base/thrown.js";
import type { ServiceDefinition } from "../protobuf/types.js";
import type { Registration, RegistrationHandle } from "../registry/registry.js";
import { unixOffer } from "../registry/unix-offer.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Listener } from "../transport/transport.js";

/** Concurrent registrations, so that a thousand services do not take a thousand times the registry's round trips. */
const registeringMax = 16;

export interface ServiceOptions {
  /** Serve it to classic callers under its short name, and write classic znodes. Default: `provider.classic` of the conf. */
  classic?: boolean | undefined;
  /** Published with every instance, e.g. `{ version: "1.4" }`. */
  attributes?: Readonly<Record<string, string>> | undefined;
  /** Share of the calls, relative to other instances; default 1. */
  weight?: number | undefined;
}

/** A service as it was passed to the provider. */
export interface OfferedService {
  readonly definition: ServiceDefinition;
  readonly options: ServiceOptions;
}

/** Where callers find a provider. */
export interface OfferedPlace {
  /** The published address. */
  readonly address: Address;
  /** The group of processes that share the address. */
  readonly group: string | undefined;
  /** A unix socket besides it. */
  readonly unix: Address | undefined;
  /** Whether connections to it may, or must, use TLS. */
  readonly tls: Listener["tls"];
}

/** What one provider has in the registry. */
export class Registrations {
  readonly #runtime: Runtime;
  readonly #signal: AbortSignal;
  readonly #handles: RegistrationHandle[] = [];

  /** `signal` aborts registrations in progress. */
  constructor(runtime: Runtime, signal: AbortSignal) {
    this.#runtime = runtime;
    this.#signal = signal;
  }

  /** Registers several at a time. After a refusal no more are started, and it rejects once those in progress have ended. */
  async register(services: Iterable<OfferedService>, place: OfferedPlace): Promise<void> {
    const waiting = [...services].map(({ definition, options }) =>
      this.#registrationOf(definition, withTls(options, place.tls), place),
    );
    const registerNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        try {
          this.#handles.push(await this.#runtime.registry.register(next, this.#signal));
        } catch (error) {
          waiting.length = 0;
          throw error;
        }
      }
    };
    // Each adds a listener, and Node would warn of a leak at the eleventh.
    setMaxListeners(Infinity, this.#signal);
    const workers = Array.from({ length: Math.min(registeringMax, waiting.length) }, registerNext);
    const refused = (await Promise.allSettled(workers)).find(({ status }) => status === "rejected");
    if (refused?.status === "rejected") throw refused.reason;
  }

  #registrationOf(
    definition: ServiceDefinition,
    options: ServiceOptions,
    { address, group, unix }: OfferedPlace,
  ): Registration {
    const offer = unix === undefined ? undefined : unixOffer(formatAddress(unix));
    const { classic = this.#runtime.settings.provider.classic, ...published } = options;
    const served = this.#runtime.settings.provider.protocols;
    // mprpc channels read the protocol from the entry: name gRPC when it is the only one.
    const mprpc = served.includes("mprpc") || !served.includes("grpc");
    const spoken = mprpc ? {} : { protocol: "grpc" };
    const knownToClassic = classic && served.includes("classic") && schemeOf(address) === "tcp";
    return {
      ...published,
      attributes: { ...published.attributes, ...offer, ...spoken },
      service: definition.typeName,
      // The list is read by classic callers, which do not know streams.
      methods: Object.values(definition.methods)
        .filter(({ kind }) => kind === "unary")
        .map(({ name }) => name),
      address,
      // Classic callers only know hosts and ports.
      protocols: [...(mprpc ? ["mprpc"] : []), ...(knownToClassic ? ["classic"] : [])],
      ...(group === undefined ? {} : { group }),
      onLost: (reason) => this.#onRegistrationLost(definition.typeName, reason),
    };
  }

  /** Never rejects. */
  async withdraw(): Promise<void> {
    const { log, registry } = this.#runtime;
    const leave = async (one: RegistrationHandle): Promise<void> => one.unregister();
    for (const left of await Promise.allSettled(this.#handles.splice(0).map(leave))) {
      if (left.status === "fulfilled") continue;
      log.warn(`a registration was not withdrawn from ${registry.name}: ${textOf(left.reason)}`);
    }
  }

  #onRegistrationLost(service: string, reason: Error): void {
    this.#runtime.log.warn(
      `callers of ${service} go elsewhere: ${textOf(reason)}; they come back when that one goes`,
    );
  }
}

/** Callers that require TLS look for this attribute in the entry. */
function withTls(options: ServiceOptions, tls: Listener["tls"]): ServiceOptions {
  return tls === undefined ? options : { ...options, attributes: { ...options.attributes, tls } };
}
