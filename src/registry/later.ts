import type { Address } from "../base/address.js";
import { checkServiceName } from "./entry.js";
import { RegistryError, reasonOf } from "./errors.js";
import type {
  Registration,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "./registry.js";

/** What is known of a registry before its driver is loaded. */
export interface RegistryFacts {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers?: readonly Address[] | undefined;
}

/** A registry whose driver is loaded at the first use, so that programs pay only for the one they use. */
export class RegistryLater implements Registry {
  readonly name: string;
  readonly authenticated: boolean;
  readonly servers?: readonly Address[];
  readonly #load: () => Promise<Registry>;
  #driver: Registry | undefined;
  #loading: Promise<Registry> | undefined;
  #closed = false;

  /** `load` is called once. */
  constructor({ name, authenticated, servers }: RegistryFacts, load: () => Promise<Registry>) {
    this.name = name;
    this.authenticated = authenticated;
    if (servers !== undefined) this.servers = servers;
    this.#load = load;
  }

  #loaded(): Promise<Registry> {
    this.#loading ??= this.#load().then(async (driver) => {
      this.#driver = driver;
      // Its methods then say that it is closed.
      if (this.#closed) await driver.close();
      return driver;
    });
    return this.#loading;
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    return (await this.#loaded()).register(registration, signal);
  }

  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    if (this.#driver !== undefined) return this.#driver.watch(service, onSnapshot, onTrouble);
    checkServiceName(service);
    let watch: Watch | undefined;
    let closed = false;
    this.#loaded().then(
      (driver) => {
        if (!closed) watch = driver.watch(service, onSnapshot, onTrouble);
      },
      (error: unknown) => {
        const text = `${this.name}: its driver cannot be loaded: ${reasonOf(error)}`;
        if (!closed) onTrouble?.(new RegistryError("invalid", text, error));
      },
    );
    return {
      get current() {
        return watch?.current;
      },
      close() {
        closed = true;
        watch?.close();
      },
    };
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    return (await this.#loaded()).list(signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const driver = await this.#loading?.catch(() => undefined);
    await driver?.close();
  }
}
