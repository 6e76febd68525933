import type { Address } from "../../base/address.js";
import { formatAddress } from "../../base/address.js";
import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../log/logger.js";
import {
  checkRegistration,
  checkServiceName,
  makeEntry,
  makeIncarnation,
  type ProviderEntry,
} from "../../registry/entry.js";
import { RegistryError } from "../../registry/errors.js";
import type {
  Endpoint,
  Registration,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "../../registry/registry.js";
import { orderEndpoints, ServiceView } from "../../registry/view.js";
import type { ProcessGate } from "./machine.js";
import type { Path } from "./path.js";
import type { RegistryServer, Session } from "./registry-server.js";

export interface RegistryClientParts {
  readonly server: RegistryServer;
  readonly address: Address;
  readonly owner: string;
  readonly gate: ProcessGate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly toServer: Path;
  readonly toClient: Path;
}

/** How long it tries to register, and to get a list, before it says that the registry is away, ms. */
const patienceMs = 10_000;
/** How long a close waits for the server's answer, ms. */
const closeWithinMs = 1000;

interface Held {
  readonly registration: Registration;
  readonly entry: ProviderEntry;
  /** A newer one has its address. */
  superseded: boolean;
  /** Somebody waits to hear that it is visible. */
  onVisible: (() => void) | undefined;
}

/**
 * A process's session with the registry of its simulation. It behaves as the ZooKeeper driver does: what a host
 * registered outlives its crash until the session expires, lists arrive late, and a host that was cut off registers
 * again.
 */
export class SimulatedRegistry implements Registry {
  readonly name = "simulated:";
  readonly servers: readonly Address[];
  readonly #parts: RegistryClientParts;
  readonly #views = new Map<string, ServiceView>();
  readonly #held = new Set<Held>();
  /** Ends of what waits for an answer, for when the registry is closed. */
  readonly #waiting = new Set<(error: Error) => void>();
  readonly #withdrawing = new Set<() => void>();
  /** The server's side of the session, and how many there were before it. */
  #remote: Session | undefined;
  #epoch = 0;
  #heartbeat: Timer | undefined;
  #heardMs: number;
  #stale = false;
  #closing: Promise<void> | undefined;

  constructor(parts: RegistryClientParts) {
    this.#parts = parts;
    this.servers = [parts.address];
    this.#heardMs = parts.clock.now();
    this.#open();
    this.#beat();
  }

  // --- the session ---

  #open(): void {
    const { server, owner, toServer } = this.#parts;
    toServer.send(() => {
      this.#remote = server.open({
        owner,
        onList: (service, endpoints) => this.#toClient(() => this.#onList(service, endpoints)),
        onSuperseded: (service, address) => this.#toClient(() => this.#onSuperseded(service, address)),
        onFree: (service, address) => this.#toClient(() => this.#onFree(service, address)),
      });
    });
  }

  /** `run` happens at the server, unless the session has expired: then this side is told. */
  #ask(run: (session: Session) => void): void {
    const { server, toServer } = this.#parts;
    const epoch = this.#epoch;
    toServer.send(() => {
      const session = this.#remote;
      if (session !== undefined && server.heard(session)) run(session);
      else this.#toClient(() => this.#onExpired(epoch));
    });
  }

  #toClient(run: () => void): void {
    const { gate, toClient, clock } = this.#parts;
    toClient.send(() =>
      gate.enter(() => {
        this.#heardMs = clock.now();
        run();
      }),
    );
  }

  #onExpired(epoch: number): void {
    if (epoch !== this.#epoch || this.#closing !== undefined) return;
    this.#epoch++;
    this.#parts.log.warn("the registry session has expired: registering again");
    this.#open();
    for (const held of this.#held) this.#put(held);
    this.#watchAll();
  }

  #beat(): void {
    const { clock, server } = this.#parts;
    const everyMs = server.sessionTimeoutMs / 3;
    this.#heartbeat = clock.setTimer(() => {
      if (clock.now() - this.#heardMs > everyMs * 2) this.#markStale();
      this.#ask(() => this.#toClient(() => this.#onPong()));
      this.#beat();
    }, everyMs);
  }

  #markStale(): void {
    this.#stale = true;
    for (const view of this.#views.values()) view.markStale();
  }

  #onPong(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#watchAll();
  }

  // --- what a registry does ---

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { clock, random } = this.#parts;
    const entry = makeEntry(registration, makeIncarnation(random), clock.wallNow());
    const held: Held = { registration, entry, superseded: false, onVisible: undefined };
    this.#held.add(held);
    try {
      await this.#answered<void>(`register ${registration.service}`, signal, (resolve) => {
        held.onVisible = resolve;
        this.#put(held);
      });
    } catch (error) {
      void this.#withdraw(held);
      throw error;
    }
    return { unregister: () => this.#withdraw(held) };
  }

  #put(held: Held): void {
    const { server } = this.#parts;
    const { registration, entry, superseded } = held;
    this.#ask((session) => {
      if (!this.#held.has(held) || !server.put(session, registration.service, entry, superseded)) return;
      this.#toClient(() => {
        held.superseded = false;
        held.onVisible?.();
      });
    });
  }

  async #withdraw(held: Held): Promise<void> {
    if (!this.#held.delete(held) || this.#closing !== undefined) return;
    const { server } = this.#parts;
    const { service } = held.registration;
    await this.#within(server.sessionTimeoutMs, (done) => {
      this.#ask((session) => {
        server.withdraw(session, service, held.entry.incarnation);
        this.#toClient(done);
      });
    });
  }

  watch(service: string, onSnapshot: (snapshot: Snapshot) => void): Watch {
    checkServiceName(service);
    const known = this.#views.get(service);
    const view = known ?? new ServiceView(service, this.#parts.log);
    this.#views.set(service, view);
    const watch = view.add(onSnapshot, () => this.#views.delete(service));
    if (known === undefined) this.#watchAtServer(service);
    return watch;
  }

  #watchAll(): void {
    for (const service of this.#views.keys()) this.#watchAtServer(service);
  }

  #watchAtServer(service: string): void {
    this.#ask((session) => this.#parts.server.watch(session, service));
  }

  #onList(service: string, endpoints: readonly Endpoint[]): void {
    if (this.#closing === undefined) this.#views.get(service)?.publish(endpoints, false);
  }

  #onSuperseded(service: string, address: string): void {
    for (const held of this.#heldAt(service, address)) {
      if (held.superseded) continue;
      held.superseded = true;
      const text = `${address} of ${service} was registered by a newer provider`;
      held.registration.onLost?.(new RegistryError("superseded", text));
    }
  }

  #onFree(service: string, address: string): void {
    for (const held of this.#heldAt(service, address)) this.#put(held);
  }

  #heldAt(service: string, address: string): Held[] {
    return [...this.#held].filter(
      ({ registration, entry }) =>
        registration.service === service && formatAddress(entry.address) === address,
    );
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    const { server } = this.#parts;
    const listings = await this.#answered<ServiceListing[]>("list the services", signal, (resolve) => {
      this.#ask(() => {
        const found = server.services.map((service) => ({
          service,
          endpoints: orderEndpoints(server.endpointsOf(service)),
        }));
        this.#toClient(() => resolve(found));
      });
    });
    return listings.sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { server, toServer, toClient, gate } = this.#parts;
    this.#heartbeat?.cancel();
    for (const fail of [...this.#waiting]) fail(closedError());
    for (const done of [...this.#withdrawing]) done();
    this.#held.clear();
    this.#views.clear();
    await this.#within(closeWithinMs, (done) => {
      toServer.send(() => {
        if (this.#remote !== undefined) server.close(this.#remote);
        toClient.send(() => gate.enter(done));
      });
    });
  }

  // --- waiting ---

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  /** Rejects when the registry is closed, `signal` aborts, or no answer comes. */
  #answered<T>(
    what: string,
    signal: AbortSignal | undefined,
    ask: (resolve: (answer: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(fail);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const onAbort = (): void => fail(signal?.reason);
      const timer = this.#parts.clock.setTimer(() => {
        fail(
          new RegistryError("unreachable", `cannot ${what}: the registry did not answer in ${patienceMs} ms`),
        );
      }, patienceMs);
      this.#waiting.add(fail);
      signal?.addEventListener("abort", onAbort, { once: true });
      ask((answer) => {
        end();
        resolve(answer);
      });
    });
  }

  /** Waits for `start`'s callback, but no longer than `timeoutMs`. */
  #within(timeoutMs: number, start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#withdrawing.delete(done);
        resolve();
      };
      const timer = this.#parts.clock.setTimer(done, timeoutMs);
      this.#withdrawing.add(done);
      start(done);
    });
  }
}

function closedError(): RegistryError {
  return new RegistryError("closed", "the simulated registry is closed");
}
