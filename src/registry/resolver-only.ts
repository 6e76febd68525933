import type { Logger } from "../log/logger.js";
import { checkRegistration } from "./entry.js";
import type { RegistryError } from "./errors.js";
import type {
  Registration,
  RegistrationHandle,
  Registry,
  Resolver,
  ServiceListing,
  Snapshot,
  Watch,
} from "./registry.js";

/**
 * A place that only resolves, for a provider that runs with the conf of its callers. Registering succeeds and does nothing;
 * one warning says who has to list it.
 */
export class ResolverOnlyRegistry implements Registry {
  readonly #resolver: Resolver;
  readonly #log: Logger;
  /** Who makes the entries, to end the sentence "... is listed there by". */
  readonly #keeper: string;
  #warned = false;

  constructor(resolver: Resolver, keeper: string, log: Logger) {
    this.#resolver = resolver;
    this.#keeper = keeper;
    this.#log = log;
  }

  get name(): string {
    return this.#resolver.name;
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    if (!this.#warned) {
      const text = `${this.name} only looks services up: this provider is listed there by ${this.#keeper}, not by itself`;
      this.#log.warn(text, { service: registration.service });
    }
    this.#warned = true;
    return { unregister: async () => {} };
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    return this.#resolver.watch(service, onSnapshot, onTrouble);
  }

  list(signal?: AbortSignal): Promise<ServiceListing[]> {
    return this.#resolver.list(signal);
  }

  close(): Promise<void> {
    return this.#resolver.close();
  }
}
