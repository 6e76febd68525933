import type { Address } from "../base/address.js";
import type { ProtocolName } from "../call/peer.js";
import type { RegistryError } from "./errors.js";

/** One instance of a service, as consumers see it. */
export interface Endpoint extends Address {
  /** Its protocol. Callers ignore endpoints whose protocol they do not know. */
  protocol: ProtocolName;
  /** Share of the calls, relative to the others; default 1. */
  weight: number;
  /** The methods it offers, in the .proto's spelling, where the registry lists them; absent: all of the service. */
  methods?: readonly string[];
  /** New with every start of the provider, so that a restart at the same address is seen; absent when the registry cannot tell. */
  incarnation?: string;
  /** Attributes published by the provider, e.g. `version`. */
  attributes: Readonly<Record<string, string>>;
}

/** The endpoints of one service at one moment; `endpoints` is in a stable order and holds each address once. */
export interface Snapshot {
  endpoints: readonly Endpoint[];
  /** True while the registry cannot be reached and this is the last good list. */
  stale: boolean;
  /**
   * True while nothing was read from the registry yet and this is a list an earlier process saved. It may be out of
   * date, so calls that find no endpoint in it wait for the registry. Default false.
   */
  hint?: boolean;
}

/** What a provider publishes for one service. */
export interface Registration {
  /** Full name: `fixbug.UserServiceRpc`. */
  service: string;
  /** Methods in the .proto's spelling, for registries that list them. */
  methods: readonly string[];
  /** The published address; never a wildcard, and with the real port. */
  address: Address;
  weight?: number | undefined;
  attributes?: Readonly<Record<string, string>> | undefined;
  /**
   * The protocols of the provider at this address. A registry that is also read by callers of another protocol gets entries
   * for those, too. Default `mprpc` and `classic`.
   */
  protocols?: readonly ProtocolName[] | undefined;
  /**
   * For processes that listen on one address together, as the workers of `node:cluster` do: a text that is the same for
   * each of them, and only for them. The address is then one endpoint as long as any of them is registered. Default none:
   * of two registrations of an address the newer one is shown.
   */
  group?: string | undefined;
  /**
   * Identifies one start of a provider. Set it when registering in several registries, so that callers see one
   * provider. Default: generated for each registration.
   */
  incarnation?: string | undefined;
  /** Called each time a newer provider has taken the address. This one is listed again automatically when that one leaves. */
  onLost?: ((reason: Error) => void) | undefined;
}

/**
 * A registration that is maintained (also after a loss of the registry, and after a newer one of its address has left)
 * until it is withdrawn.
 */
export interface RegistrationHandle {
  /** Resolves when the registry no longer lists it, or cannot be reached (it will then expire). Idempotent. */
  unregister(): Promise<void>;
}

/** A live view of one service's endpoints. */
export interface Watch {
  /** The newest list; `undefined` until the first one is known. */
  readonly current: Snapshot | undefined;
  close(): void;
}

/** What `list()` knows of a service, for `mprpc list`. */
export interface ServiceListing {
  service: string;
  endpoints: readonly Endpoint[];
}

/** The common part of both halves of a registry. */
interface RegistryHandle {
  /** The URL-like text it was created from, without secrets, for messages. */
  readonly name: string;
  /** Withdraws everything and ends the session. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** Where callers look up. A driver recovers by itself from every loss of its server; only `list` throws. */
export interface Resolver extends RegistryHandle {
  /**
   * True when only holders of credentials can publish mprpc providers here. Anybody can write entries of other protocols,
   * so channels do not call those unless `channel.classic` allows it.
   */
  readonly authenticated?: boolean;
  /** True when the list is the caller's own, written in its configuration: then it need not name the endpoints that speak TLS. */
  readonly fixed?: boolean;
  /**
   * Calls `onSnapshot` with the first list as soon as it is known (never synchronously) and after each change.
   * A service without providers gives an empty list. While the registry is down the last good list stays, marked stale;
   * if none was ever known (nor saved in a snapshot file), nothing is called until it is back.
   *
   * `onTrouble` is called with the reason why the list cannot be read: `unreachable` may pass, `denied` needs changed
   * permissions. The next snapshot that is not stale ends the trouble.
   */
  watch(
    service: string,
    onSnapshot: (snapshot: Snapshot) => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch;
  /** Every service known now. Rejects when the registry cannot be reached. */
  list(signal?: AbortSignal): Promise<ServiceListing[]>;
}

/**
 * Where providers publish. A driver recovers by itself from every loss of its server; it throws only for a registration that
 * can never work (bad name, superseded, no permission).
 */
export interface Registrar extends RegistryHandle {
  /** Its servers, when it has any: a provider bound to a wildcard advertises the local address of the route to them. */
  readonly servers?: readonly Address[];
  /** Resolves once the entry is visible to consumers. Rejects when that fails before `signal` aborts or the driver's own start-up timeout. */
  register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle>;
}

/** Both: what an application has. Some places, such as the DNS, only resolve. */
export interface Registry extends Resolver, Registrar {}

/** The last part of a full name, as the classic wire and classic znodes spell it. */
export function shortServiceName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf(".") + 1);
}
