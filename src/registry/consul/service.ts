import { Backoff, registryBackoff } from "../../base/backoff.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import { MissingEndpoints } from "../missing.js";
import { Reconciler } from "../reconciler.js";
import type { SnapshotFile } from "../snapshot-file.js";
import type { ServiceView } from "../view.js";
import type { ConsulAgents } from "./agents.js";
import { ConsulRefusal } from "./answers.js";
import type { ConsulCatalog } from "./catalog.js";
import { type ConsulInstance, newestEndpoints } from "./layout.js";
import { agentRetryMs, LingeringInstances } from "./lingering.js";

export interface ConsulServiceOptions {
  catalog: ConsulCatalog;
  agents: ConsulAgents;
  view: ServiceView;
  deps: Filled<RegistryDeps>;
  snapshots: SnapshotFile | undefined;
  emptyGraceMs: number;
  ttlMs: number;
}

/** A burst of changes costs one reading, and the readers of a large cluster do not come all at once. */
const settleMs = 5;
/** Kept endpoints are checked this often. */
const lookMs = 100;
/** After a loss providers return within a third of their ttl, and at most this much later, ms. */
const recoveryExtraMs = 2000;
const settleJitterMs = 20;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;
/** After this without an answer a starting consumer takes the list of the snapshot file. */
const coldStartMs = 200;

/** One service of the catalog: queried again as soon as it was answered, since each query waits for a change. */
export class ConsulService {
  readonly #options: ConsulServiceOptions;
  readonly #reconciler: Reconciler;
  readonly #backoff: Backoff;
  readonly #missing: MissingEndpoints;
  readonly #lingering: LingeringInstances;
  readonly #listeners = new Set<() => void>();
  /** 0: the list is asked for as it is, without waiting for a change. */
  #index = 0;
  /** The index of the newest answer. */
  #answeredIndex = 0;
  #instances: readonly ConsulInstance[] | undefined;
  #fresh = false;
  #lastWarning = "";
  /** Why it may not be read; needs changed permissions. */
  #denial: RegistryError | undefined;
  readonly #closed = new AbortController();

  constructor(options: ConsulServiceOptions) {
    this.#options = options;
    const { deps, emptyGraceMs, agents } = options;
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#missing = new MissingEndpoints(deps.clock, emptyGraceMs);
    this.#lingering = new LingeringInstances(deps.clock, options.ttlMs);
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#read(),
      onError: (error) => this.#onError(error),
    });
    if (agents.up) this.#reconciler.trigger();
    deps.clock.setTimer(() => void this.#useSnapshotFile(), coldStartMs);
  }

  get view(): ServiceView {
    return this.#options.view;
  }

  /** What the catalog had and was passing when it was last read; `undefined` before the first time. */
  get instances(): readonly ConsulInstance[] | undefined {
    return this.#instances;
  }

  /** Whether the catalog can be read now, as far as is known. */
  get fresh(): boolean {
    return this.#fresh;
  }

  get denial(): RegistryError | undefined {
    return this.#denial;
  }

  /** Whether the registry has just come back, while providers may not have returned yet. */
  get recovering(): boolean {
    return this.#missing.keeping;
  }

  /** `listener` is called after each reading. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get inUse(): boolean {
    return this.#listeners.size > 0 || this.view.watcherCount > 0;
  }

  /** Reads it now if it could not be read before: somebody new wants to know. */
  refresh(): void {
    if (!this.#fresh && this.#options.agents.up) this.#reconciler.trigger();
  }

  onUp(): void {
    if (this.#instances !== undefined) {
      this.#missing.keepFor(this.#options.ttlMs / 3 + recoveryExtraMs);
      this.#lingering.onRecovery();
    }
    this.#index = 0;
    this.#backoff.reset();
    this.#reconciler.trigger();
  }

  onDown(reason: Error): void {
    this.#fresh = false;
    this.view.markStale();
    this.view.setTrouble(new RegistryError("unreachable", reasonOf(reason), reason));
    this.#tell();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#listeners.clear();
    await this.#reconciler.stop();
  }

  async #read(): Promise<number | undefined> {
    const { catalog, view, snapshots, deps } = this.#options;
    const { instances, index } = await catalog.read(view.service, this.#index, this.#closed.signal);
    if (this.#closed.signal.aborted) return undefined;
    // The servers' data was lost or restored: what is missing comes back with its providers.
    if (index < this.#answeredIndex) this.#missing.keepFor(agentRetryMs);
    this.#index = index < this.#answeredIndex ? 0 : index;
    this.#answeredIndex = index;
    this.#backoff.reset();
    this.#lastWarning = "";
    this.#denial = undefined;
    this.#instances = instances.filter(({ health }) => health === "passing");
    this.#fresh = true;
    const passing = newestEndpoints(instances);
    const lingering = this.#lingering.of(instances, view.current);
    const endpoints = [...passing, ...lingering.endpoints];
    const missing = this.#missing.keptOf(view.current, endpoints);
    const kept = lingering.endpoints.length + missing.kept.length > 0;
    view.publish([...endpoints, ...missing.kept], kept);
    if (!kept) void snapshots?.save(view.service, passing);
    this.#tell();
    const againMs = Math.min(lingering.againMs ?? Infinity, missing.againMs ?? Infinity);
    if (againMs === Infinity) return settleMs + settleJitterMs * deps.random();
    // Query without waiting for a change.
    this.#index = 0;
    return Math.min(againMs, lookMs * (1 + deps.random()));
  }

  #onError(error: unknown): number | undefined {
    const { agents, view, deps } = this.#options;
    if (this.#closed.signal.aborted) return undefined;
    const denied = error instanceof ConsulRefusal && error.denied;
    // Given up because its agent was left, or has a new leader: `up` begins anew, or nothing is wrong.
    if (!agents.up) return undefined;
    if (isAborted(error)) return 0;
    const text = reasonOf(error);
    if (text !== this.#lastWarning)
      deps.log.warn("cannot read a service from Consul", { service: view.service, error: text });
    this.#lastWarning = text;
    this.#index = 0;
    this.#fresh = false;
    view.markStale();
    const trouble = new RegistryError(denied ? "denied" : "unreachable", text, error);
    this.#denial = denied ? trouble : undefined;
    view.setTrouble(trouble);
    this.#tell();
    return denied ? deniedRetryMs : this.#backoff.next();
  }

  async #useSnapshotFile(): Promise<void> {
    const { view, snapshots, deps } = this.#options;
    if (this.#instances !== undefined || this.#closed.signal.aborted || snapshots === undefined) return;
    const endpoints = await snapshots.load(view.service);
    if (endpoints === undefined || this.#instances !== undefined || this.#closed.signal.aborted) return;
    deps.log.warn("Consul has not answered yet; using the last known endpoints", { service: view.service });
    view.publish(endpoints, true, true);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function isAborted(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) if (one.name === "AbortError") return true;
  return false;
}
