import type { Timer } from "../../base/clock.js";
import { formatAddress } from "../../base/endpoint.js";
import { type ProviderEntry, toEndpoint } from "../../registry/entry.js";
import type { Endpoint } from "../../registry/registry.js";
import type { Scheduler } from "./scheduler.js";

/** How a session hears of things. The server calls these; the session brings them over the network. */
export interface SessionPort {
  readonly owner: string;
  onList(service: string, endpoints: readonly Endpoint[]): void;
  onSuperseded(service: string, address: string): void;
}

/** One session at the server: it ends when nothing was heard of it for too long, and what it registered goes with it. */
export interface Session {
  readonly port: SessionPort;
  readonly watched: Set<string>;
  live: boolean;
  expiry: Timer | undefined;
}

interface Entry {
  readonly entry: ProviderEntry;
  readonly session: Session;
}

/** The registry of a simulation: one server that is never down itself, but that hosts can be cut off from. */
export class RegistryServer {
  readonly #scheduler: Scheduler;
  readonly #sessionTimeoutMs: number;
  readonly #note: (text: string) => void;
  readonly #services = new Map<string, Map<string, Entry>>();
  readonly #sessions = new Set<Session>();

  constructor(scheduler: Scheduler, sessionTimeoutMs: number, note: (text: string) => void) {
    this.#scheduler = scheduler;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#note = note;
  }

  get sessionTimeoutMs(): number {
    return this.#sessionTimeoutMs;
  }

  open(port: SessionPort): Session {
    const session: Session = { port, watched: new Set(), live: true, expiry: undefined };
    this.#sessions.add(session);
    this.heard(session);
    return session;
  }

  /** False: it has expired meanwhile. */
  heard(session: Session): boolean {
    if (!session.live) return false;
    session.expiry?.cancel();
    session.expiry = this.#scheduler.after(this.#sessionTimeoutMs, () => {
      this.#note(`session of ${session.port.owner} expired`);
      this.close(session);
    });
    return true;
  }

  close(session: Session): void {
    session.live = false;
    session.expiry?.cancel();
    this.#sessions.delete(session);
    for (const [service, entries] of this.#services) {
      for (const [address, { session: holder }] of entries) {
        if (holder === session) this.#remove(service, address);
      }
    }
  }

  put(session: Session, service: string, entry: ProviderEntry): void {
    const entries = this.#services.get(service) ?? new Map<string, Entry>();
    this.#services.set(service, entries);
    const address = formatAddress(entry.address);
    const older = entries.get(address);
    entries.set(address, { entry, session });
    this.#note(`${session.port.owner} registered ${service} at ${address}`);
    if (older !== undefined && older.session !== session) older.session.port.onSuperseded(service, address);
    this.#changed(service);
  }

  withdraw(session: Session, service: string, incarnation: string): void {
    for (const [address, held] of this.#services.get(service) ?? []) {
      if (held.session === session && held.entry.incarnation === incarnation) this.#remove(service, address);
    }
  }

  watch(session: Session, service: string): void {
    session.watched.add(service);
    session.port.onList(service, this.endpointsOf(service));
  }

  endpointsOf(service: string): Endpoint[] {
    return [...(this.#services.get(service)?.values() ?? [])].map(({ entry }) => toEndpoint(entry));
  }

  get services(): string[] {
    return [...this.#services].filter(([, entries]) => entries.size > 0).map(([service]) => service);
  }

  #remove(service: string, address: string): void {
    this.#services.get(service)?.delete(address);
    this.#note(`${service} at ${address} is gone`);
    this.#changed(service);
  }

  #changed(service: string): void {
    for (const session of this.#sessions) {
      if (session.watched.has(service)) session.port.onList(service, this.endpointsOf(service));
    }
  }
}
