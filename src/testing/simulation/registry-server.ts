import { formatAddress } from "../../base/address.js";
import type { Timer } from "../../base/clock.js";
import { isSameGroup, type ProviderEntry, toEndpoint } from "../../registry/entry.js";
import type { Endpoint } from "../../registry/registry.js";
import type { Scheduler } from "./scheduler.js";

/** How a session hears of things. The server calls these; the session brings them over the network. */
export interface SessionPort {
  readonly owner: string;
  onList(service: string, endpoints: readonly Endpoint[]): void;
  onSuperseded(service: string, address: string): void;
  /** The entry that took an address of this session's is gone. */
  onFree(service: string, address: string): void;
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
  /** By service and address: several are of one group, and the last of them is shown. */
  readonly #services = new Map<string, Map<string, readonly Entry[]>>();
  readonly #sessions = new Set<Session>();
  /** Who waits for which address of which service to be free again. */
  readonly #superseded = new Set<{ session: Session; service: string; address: string }>();

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
    for (const one of this.#superseded) if (one.session === session) this.#superseded.delete(one);
    for (const service of this.#services.keys()) {
      this.#remove(service, (held) => held.session === session);
    }
  }

  /** `yielding`: one that was superseded before takes no address that another has. False: it was not put. */
  put(session: Session, service: string, entry: ProviderEntry, yielding: boolean): boolean {
    const entries = this.#services.get(service) ?? new Map<string, readonly Entry[]>();
    this.#services.set(service, entries);
    const address = formatAddress(entry.address);
    const others = (entries.get(address) ?? []).filter((held) => held.session !== session);
    const kept = others.filter((held) => isSameGroup(held.entry, entry));
    if (yielding && others.length > kept.length) {
      this.#superseded.add({ session, service, address });
      return false;
    }
    entries.set(address, [...kept, { entry, session }]);
    this.#note(`${session.port.owner} registered ${service} at ${address}`);
    for (const older of others) {
      if (kept.includes(older)) continue;
      this.#superseded.add({ session: older.session, service, address });
      older.session.port.onSuperseded(service, address);
    }
    this.#changed(service);
    return true;
  }

  withdraw(session: Session, service: string, incarnation: string): void {
    this.#remove(service, (held) => held.session === session && held.entry.incarnation === incarnation);
  }

  watch(session: Session, service: string): void {
    session.watched.add(service);
    session.port.onList(service, this.endpointsOf(service));
  }

  endpointsOf(service: string): Endpoint[] {
    const shown = [...(this.#services.get(service)?.values() ?? [])].map((held) => held.at(-1));
    return shown.filter((held) => held !== undefined).map(({ entry }) => toEndpoint(entry));
  }

  get services(): string[] {
    return [...this.#services].filter(([, entries]) => entries.size > 0).map(([service]) => service);
  }

  #remove(service: string, goes: (held: Entry) => boolean): void {
    const entries = this.#services.get(service) ?? new Map<string, readonly Entry[]>();
    for (const [address, held] of entries) {
      const left = held.filter((one) => !goes(one));
      if (left.length === held.length) continue;
      if (left.length > 0) entries.set(address, left);
      else entries.delete(address);
      this.#note(`${service} at ${address} is gone`);
      this.#changed(service);
      if (left.length === 0) this.#tellFree(service, address);
    }
  }

  #tellFree(service: string, address: string): void {
    for (const one of this.#superseded) {
      if (one.service !== service || one.address !== address) continue;
      this.#superseded.delete(one);
      one.session.port.onFree(service, address);
    }
  }

  #changed(service: string): void {
    for (const session of this.#sessions) {
      if (session.watched.has(service)) session.port.onList(service, this.endpointsOf(service));
    }
  }
}
