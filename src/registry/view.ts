import { formatAddress } from "../base/address.js";
import { callGuarded } from "../base/thrown.js";
import type { Logger } from "../log/logger.js";
import { type RegistryError, reasonOf } from "./errors.js";
import type { Endpoint, Registration, Snapshot, Watch } from "./registry.js";

/** Sorted by address, each address once: the first of equal ones stays. */
export function orderEndpoints(endpoints: Iterable<Endpoint>): Endpoint[] {
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const address = formatAddress(endpoint);
    if (!byAddress.has(address)) byAddress.set(address, endpoint);
  }
  return [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

function fingerprint({ stale, hint, endpoints }: Snapshot): string {
  const rows = endpoints.map((e) => [
    ...[formatAddress(e), e.protocol, e.weight, e.incarnation ?? "", e.methods ?? []],
    Object.entries(e.attributes).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  return JSON.stringify([stale, hint, rows]);
}

interface Watcher {
  onSnapshot: (snapshot: Snapshot) => void;
  onTrouble: ((reason: RegistryError) => void) | undefined;
  /** The snapshot it was last given, so that it never gets one twice. */
  seen: Snapshot | undefined;
}

/** One service as this process sees it: keeps the newest snapshot and notifies every watcher of each change, once. */
export class ServiceView {
  readonly service: string;
  readonly #log: Logger;
  readonly #watchers = new Set<Watcher>();
  #current: Snapshot | undefined;
  #fingerprint = "";
  #trouble: RegistryError | undefined;

  constructor(service: string, log: Logger) {
    this.service = service;
    this.#log = log;
  }

  get current(): Snapshot | undefined {
    return this.#current;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  /** `onUnused` is called when the last watcher closes. */
  add(
    onSnapshot: (snapshot: Snapshot) => void,
    onUnused: () => void,
    onTrouble?: (reason: RegistryError) => void,
  ): Watch {
    const watcher: Watcher = { onSnapshot, onTrouble, seen: undefined };
    this.#watchers.add(watcher);
    // A watcher is never called from within `watch()`, even when the list is known already.
    queueMicrotask(() => {
      this.#tell(watcher);
      this.#tellTrouble(watcher);
    });
    const view = this;
    return {
      get current() {
        return view.#current;
      },
      close: () => {
        if (this.#watchers.delete(watcher) && this.#watchers.size === 0) onUnused();
      },
    };
  }

  /** Takes a new list; watchers are notified only if it differs from the last one. */
  publish(endpoints: Iterable<Endpoint>, stale: boolean, hint = false): void {
    const snapshot: Snapshot = { endpoints: orderEndpoints(endpoints), stale };
    if (hint) snapshot.hint = true;
    if (!stale) this.#trouble = undefined;
    const print = fingerprint(snapshot);
    if (print === this.#fingerprint) return;
    this.#fingerprint = print;
    this.#current = snapshot;
    for (const watcher of [...this.#watchers]) this.#tell(watcher);
  }

  /** The registry cannot be reached: the last good list stays, marked. */
  markStale(): void {
    const current = this.#current;
    if (current !== undefined) this.publish(current.endpoints, true, current.hint);
  }

  /** The list cannot be read now. Watchers are notified once of a lasting failure. */
  setTrouble(reason: RegistryError): void {
    if (this.#trouble?.message === reason.message) return;
    this.#trouble = reason;
    for (const watcher of [...this.#watchers]) this.#tellTrouble(watcher);
  }

  #tellTrouble(watcher: Watcher): void {
    const reason = this.#trouble;
    if (reason === undefined || !this.#watchers.has(watcher)) return;
    this.#guarded(() => watcher.onTrouble?.(reason));
  }

  #tell(watcher: Watcher): void {
    const snapshot = this.#current;
    if (snapshot === undefined || watcher.seen === snapshot || !this.#watchers.has(watcher)) return;
    watcher.seen = snapshot;
    this.#guarded(() => watcher.onSnapshot(snapshot));
  }

  #guarded(tell: () => void): void {
    callGuarded(tell, (error) => {
      this.#log.error("a watcher of a service threw", { service: this.service, error: reasonOf(error) });
    });
  }
}

/** Notifies the owner of a registration that its entry is gone for good. */
export function tellLost({ service, onLost }: Registration, reason: Error, log: Logger): void {
  callGuarded(
    () => onLost?.(reason),
    (error) => log.error("an onLost callback threw", { service, error: reasonOf(error) }),
  );
}
