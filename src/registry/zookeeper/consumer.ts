import { formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import { messages } from "../../error/messages.js";
import type { RegistryDeps } from "../deps.js";
import { decodeEntry, type ProviderEntry, toEndpoint } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { MissingEndpoints } from "../missing.js";
import { Reconciler } from "../reconciler.js";
import type { Endpoint } from "../registry.js";
import type { SnapshotFile } from "../snapshot-file.js";
import type { ServiceView } from "../view.js";
import { readClassic } from "./classic-reader.js";
import { hasCode, type ZooKeeperError } from "./connection.js";
import { classicPath, hasClassicPath, orMissing, providersPath, watchChildren } from "./layout.js";
import type { ZooKeeperSession } from "./session.js";

export interface ConsumerOptions {
  session: ZooKeeperSession;
  view: ServiceView;
  deps: Filled<RegistryDeps>;
  /** Where the last list is kept for a start without ZooKeeper. */
  snapshots: SnapshotFile | undefined;
  /** How long an empty list is ignored after a non-empty one, ms. */
  emptyGraceMs: number;
}

/** A burst of changes costs one reading, and the readers of a large cluster do not come all at once. */
const settleMs = 5;
const settleJitterMs = 20;
/** Everything is read again this often, in case a watch was lost for an unknown reason. */
const auditMs = 60_000;
const retryMs = 1000;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;
/** After this without an answer a starting consumer takes the list of the snapshot file. */
const coldStartMs = 200;
/**
 * When our session was lost the providers' were too, and they come back within the cap of the registry backoff: until
 * then missing endpoints are kept, so that callers lose none by a restart of ZooKeeper.
 */
const recoveryMs = 2000;

/** Reads one service from ZooKeeper and keeps its view up to date. */
export class ServiceConsumer {
  readonly #options: ConsumerOptions;
  readonly #reconciler: Reconciler;
  readonly #paths: readonly string[];
  readonly #missing: MissingEndpoints;
  /** Whether the view holds what was read from ZooKeeper, and not from the snapshot file. */
  #read = false;
  /** So that a lasting failure is logged once. */
  #lastWarning = "";
  #closed = false;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    const { service } = options.view;
    this.#missing = new MissingEndpoints(options.deps.clock, options.emptyGraceMs);
    this.#paths = [providersPath(service), classicPath(service)];
    this.#reconciler = new Reconciler({
      clock: options.deps.clock,
      run: () => this.#refresh(),
      onError: (error) => this.#onError(error),
    });
    if (options.session.connected) this.#reconciler.trigger();
    options.deps.clock.setTimer(() => void this.#useSnapshotFile(), coldStartMs);
  }

  onSession(afterLoss: boolean): void {
    if (afterLoss) this.#missing.keepFor(recoveryMs);
    this.#reconciler.trigger();
  }

  onSuspended(reason: Error): void {
    this.#options.view.markStale();
    this.onUnreachable(reason);
  }

  onUnreachable(reason: Error): void {
    this.#options.view.setTrouble(new RegistryError("unreachable", reasonOf(reason), reason));
  }

  onChanged(path: string): void {
    if (!this.#paths.some((ours) => path === ours || path.startsWith(`${ours}/`))) return;
    this.#reconciler.trigger(settleMs + settleJitterMs * this.#options.deps.random());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reconciler.stop();
  }

  async #refresh(): Promise<number> {
    const { session, view, snapshots, deps } = this.#options;
    let classicDenied = false;
    const endpoints = await readService(session, view.service, {
      watch: true,
      onClassicDenied: (error) => {
        classicDenied = true;
        this.#warn("cannot read the classic providers of a service", error);
      },
      known: view.current?.hint ? [] : (view.current?.endpoints ?? []),
    });
    if (this.#closed) return auditMs;
    if (!classicDenied) this.#lastWarning = "";
    const { kept, againMs } = this.#missing.keptOf(view.current, endpoints);
    // A disconnect during the reading has marked the view; what was read is then the last good list.
    view.publish([...endpoints, ...kept], kept.length > 0 || !session.connected);
    this.#read = true;
    if (kept.length === 0) void snapshots?.save(view.service, endpoints);
    return againMs ?? auditMs * (0.9 + 0.2 * deps.random());
  }

  async #useSnapshotFile(): Promise<void> {
    const { view, snapshots, deps } = this.#options;
    if (this.#read || this.#closed || snapshots === undefined) return;
    const endpoints = await snapshots.load(view.service);
    if (endpoints === undefined || this.#read || this.#closed) return;
    deps.log.warn("ZooKeeper has not answered yet; using the last known endpoints", {
      service: view.service,
    });
    view.publish(endpoints, true, true);
  }

  #onError(error: unknown): number | undefined {
    // The next `session` event triggers a run.
    if (hasCode(error, "CONNECTION_LOSS", "SESSION_EXPIRED")) return undefined;
    const { view } = this.#options;
    this.#warn("cannot read a service from ZooKeeper", error);
    if (!hasCode(error, "NO_AUTH")) return retryMs;
    view.markStale();
    view.setTrouble(deniedError(view.service, error));
    return deniedRetryMs;
  }

  #warn(what: string, error: unknown): void {
    const { view, deps } = this.#options;
    const text = reasonOf(error);
    if (text !== this.#lastWarning) deps.log.warn(what, { service: view.service, error: text });
    this.#lastWarning = text;
  }
}

function deniedError(service: string, error: ZooKeeperError): RegistryError {
  return new RegistryError("denied", messages.zooKeeperDenies(service, error.message), error);
}

export interface ReadOptions {
  watch: boolean;
  /** The list read before; a classic endpoint that is in it need not be confirmed. */
  known: readonly Endpoint[];
  /** The classic znodes may not be read, and mprpc providers exist. */
  onClassicDenied?: (error: ZooKeeperError) => void;
}

/** The current endpoints of a service: mprpc providers, and classic ones at other addresses. */
export async function readService(
  session: ZooKeeperSession,
  service: string,
  { watch, known, onClassicDenied }: ReadOptions,
): Promise<Endpoint[]> {
  const { endpoints: classic, denied } = await tryClassic(session, service, watch);
  const entries = await readProviders(session, service, watch);
  if (denied !== undefined) {
    // With mprpc providers the classic ones are not needed; without them this error is the result.
    if (entries.length === 0) throw denied;
    onClassicDenied?.(denied);
  }
  const ours = new Set(entries.map(({ address }) => formatAddress(address)));
  const knownClassic = new Set(known.filter(({ protocol }) => protocol === "classic").map(formatAddress));
  const foreign = classic.filter((endpoint) => !ours.has(formatAddress(endpoint)));
  const confirmed = foreign.every((endpoint) => knownClassic.has(formatAddress(endpoint)))
    ? foreign
    : await confirmClassic(session, service, foreign);
  return [...entries.map(toEndpoint), ...confirmed];
}

async function tryClassic(
  session: ZooKeeperSession,
  service: string,
  watch: boolean,
): Promise<{ endpoints: readonly Endpoint[]; denied?: ZooKeeperError }> {
  if (!hasClassicPath(service)) return { endpoints: [] };
  try {
    return { endpoints: await readClassic(session, classicPath(service), watch) };
  } catch (error) {
    if (hasCode(error, "NO_AUTH")) return { endpoints: [], denied: error };
    throw error;
  }
}

/**
 * The two readings are not one snapshot: an mprpc provider that left between them looks like a C++ one. It removes its
 * classic znodes before its entry, so a classic znode that still exists belongs to another program.
 */
async function confirmClassic(
  session: ZooKeeperSession,
  service: string,
  foreign: readonly Endpoint[],
): Promise<Endpoint[]> {
  const again = new Set((await readClassic(session, classicPath(service), false)).map(formatAddress));
  return foreign.filter((endpoint) => again.has(formatAddress(endpoint)));
}

async function readProviders(
  session: ZooKeeperSession,
  service: string,
  watch: boolean,
): Promise<ProviderEntry[]> {
  const path = providersPath(service);
  const names = watch
    ? await watchChildren(session, path)
    : ((await orMissing(session.children(path))) ?? []);
  const byAddress = new Map<string, { entry: ProviderEntry; name: string }[]>();
  for (const name of names) {
    const entry = decodeEntry(name);
    if (entry === undefined) continue;
    const address = formatAddress(entry.address);
    byAddress.set(address, [...(byAddress.get(address) ?? []), { entry, name }]);
  }
  const newest = [...byAddress.values()].map((same) => newestOf(session, path, same));
  return (await Promise.all(newest)).filter((entry) => entry !== undefined);
}

/** Of several incarnations at one address, the one ZooKeeper saw last; `undefined` when all are gone by now. */
async function newestOf(
  session: ZooKeeperSession,
  path: string,
  same: readonly { entry: ProviderEntry; name: string }[],
): Promise<ProviderEntry | undefined> {
  if (same.length === 1) return same[0]?.entry;
  const stats = await Promise.all(same.map(({ name }) => session.exists(`${path}/${name}`)));
  let newest = -1;
  for (const [i, stat] of stats.entries()) {
    if (stat !== undefined && stat.czxid > (stats[newest]?.czxid ?? -1n)) newest = i;
  }
  return same[newest]?.entry;
}
