import { Backoff, registryBackoff } from "../../base/backoff.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import { MissingEndpoints } from "../missing.js";
import { Reconciler } from "../reconciler.js";
import type { SnapshotFile } from "../snapshot-file.js";
import type { ServiceView } from "../view.js";
import type { SessionStream } from "./calls.js";
import type { EtcdConnection } from "./connection.js";
import { Event_EventType, KV, Watch, type WatchResponse } from "./gen/rpc.js";
import { type EtcdInstance, newestEndpoints, rangeOf, readInstance, serviceFolder } from "./layout.js";
import { EtcdRefusal } from "./refusal.js";

export interface EtcdServiceOptions {
  connection: EtcdConnection;
  view: ServiceView;
  deps: Filled<RegistryDeps>;
  snapshots: SnapshotFile | undefined;
  /** What all keys begin with; ends in a `/`. */
  folder: string;
  emptyGraceMs: number;
  ttlMs: number;
  requestTimeoutMs: number;
}

type WatchStream = SessionStream<typeof Watch.methods.watch>;

/** A burst of changes is told once. */
const settleMs = 5;
/** Providers come back in a third of their time to live after a loss, and this much later at most, ms. */
const recoveryExtraMs = 2000;
/** Permissions are changed by people. */
const deniedRetryMs = 10_000;
/** After this without an answer a starting consumer takes the list of the snapshot file. */
const coldStartMs = 200;

/**
 * The instances of one service: read whole, and from that revision on kept up to date by a watch. When the watch ends, for
 * whatever reason, all is read again: because the connection was lost, or because the revision it was to go on from was compacted.
 */
export class EtcdService {
  readonly #options: EtcdServiceOptions;
  readonly #reconciler: Reconciler;
  readonly #backoff: Backoff;
  readonly #missing: MissingEndpoints;
  readonly #listeners = new Set<() => void>();
  #instances: Map<string, EtcdInstance> | undefined;
  #stream: WatchStream | undefined;
  /** Of the newest answer. A lower one, or another cluster, means that the data were lost. */
  #revision = 0n;
  #clusterId = 0n;
  #fresh = false;
  #wasAway = false;
  #closed = false;
  #lastWarning = "";
  /** Why it may not be read; it will not pass by itself. */
  #denial: RegistryError | undefined;

  constructor(options: EtcdServiceOptions) {
    this.#options = options;
    const { deps, emptyGraceMs, connection } = options;
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#missing = new MissingEndpoints(deps.clock, emptyGraceMs);
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#follow(),
      onError: (error) => this.#onError(error),
    });
    if (connection.up) this.#reconciler.trigger();
    deps.clock.setTimer(() => void this.#useSnapshotFile(), coldStartMs);
  }

  get view(): ServiceView {
    return this.#options.view;
  }

  /** What etcd has, as far as is known; `undefined` before it was read for the first time. */
  get instances(): ReadonlyMap<string, EtcdInstance> | undefined {
    return this.#instances;
  }

  /** Whether it can be read now, as far as is known. */
  get fresh(): boolean {
    return this.#fresh;
  }

  get denial(): RegistryError | undefined {
    return this.#denial;
  }

  /** Whether etcd has just come back, and providers may not have yet. */
  get recovering(): boolean {
    return this.#missing.keeping;
  }

  get inUse(): boolean {
    return this.#listeners.size > 0 || this.view.watcherCount > 0;
  }

  /** `listener` is called when the instances have changed or were read again, and when they cannot be read any more. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads it now if it could not be read before: somebody new wants to know. */
  refresh(): void {
    if (!this.#fresh && this.#options.connection.up) this.#reconciler.trigger();
  }

  onUp(): void {
    if (this.#wasAway) this.#keepMissing();
    this.#wasAway = false;
    this.#stopWatching();
    this.#backoff.reset();
    this.#reconciler.trigger();
  }

  onDown(reason: Error): void {
    this.#wasAway = true;
    this.#stopWatching();
    this.#fresh = false;
    this.view.markStale();
    this.view.setTrouble(new RegistryError("unreachable", reasonOf(reason), reason));
    this.#tell();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    this.#stopWatching();
    await this.#reconciler.stop();
    this.#stopWatching();
  }

  /** After an outage providers that lost their lease register again, each in its time. */
  #keepMissing(): void {
    if (this.#instances !== undefined) this.#missing.keepFor(this.#options.ttlMs / 3 + recoveryExtraMs);
  }

  async #follow(): Promise<number | undefined> {
    if (this.#closed || !this.#options.connection.up) return undefined;
    if (this.#stream === undefined) await this.#read();
    return this.#publish();
  }

  async #read(): Promise<void> {
    const { connection, view, folder, requestTimeoutMs } = this.#options;
    const range = rangeOf(serviceFolder(folder, view.service));
    const { header, kvs } = await connection.call(KV.methods.range, range, requestTimeoutMs);
    const { revision = 0n, clusterId = 0n } = header ?? {};
    const stream = await connection.stream(Watch.methods.watch);
    if (this.#closed) {
      stream.close();
      return;
    }
    if (revision < this.#revision || clusterId !== this.#clusterId) this.#keepMissing();
    this.#revision = revision;
    this.#clusterId = clusterId;
    const instances = new Map<string, EtcdInstance>();
    for (const kv of kvs) {
      const instance = readInstance(kv);
      if (instance !== undefined) instances.set(instance.key, instance);
    }
    this.#instances = instances;
    this.#fresh = true;
    this.#denial = undefined;
    this.#lastWarning = "";
    this.#stream = stream;
    const createRequest = { ...range, startRevision: revision + 1n };
    stream.send({ requestUnion: { case: "createRequest", value: createRequest } });
    void this.#watch(stream);
  }

  async #watch(stream: WatchStream): Promise<void> {
    let reason: unknown = new Error("etcd ended it");
    try {
      for await (const response of stream.replies) {
        if (stream !== this.#stream) return;
        if (response.canceled) {
          // Of a compacted revision, or of permissions that were taken away: reading says which.
          reason = new Error(response.cancelReason || `compacted up to ${response.compactRevision}`);
          break;
        }
        this.#backoff.reset();
        this.#apply(response);
      }
    } catch (error) {
      reason = this.#options.connection.explain(error);
    }
    if (stream !== this.#stream) return;
    this.#stopWatching();
    this.#options.deps.log.debug("a watch of a service in etcd has ended; it is read again", {
      ...{ service: this.view.service, reason: reasonOf(reason) },
    });
    this.#reconciler.trigger(this.#backoff.next());
  }

  #apply({ header, events }: WatchResponse): void {
    this.#revision = header?.revision ?? this.#revision;
    for (const { type, kv } of events) {
      if (kv === undefined) continue;
      const instance = type === Event_EventType.PUT ? readInstance(kv) : undefined;
      if (instance === undefined) this.#instances?.delete(Buffer.from(kv.key).toString("utf8"));
      else this.#instances?.set(instance.key, instance);
    }
    if (events.length > 0) this.#reconciler.trigger(settleMs);
  }

  #stopWatching(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  #publish(): number | undefined {
    const { view, snapshots } = this.#options;
    // The connection was lost meanwhile.
    if (this.#closed || !this.#fresh || this.#instances === undefined) return undefined;
    const endpoints = newestEndpoints(this.#instances.values());
    const { kept, againMs } = this.#missing.keptOf(view.current, endpoints);
    view.publish([...endpoints, ...kept], kept.length > 0);
    if (kept.length === 0) void snapshots?.save(view.service, endpoints);
    this.#tell();
    return againMs;
  }

  #onError(error: unknown): number | undefined {
    const { connection, view, deps } = this.#options;
    if (this.#closed || !connection.up) return undefined;
    const text = reasonOf(error);
    if (text !== this.#lastWarning)
      deps.log.warn("cannot read a service from etcd", { service: view.service, error: text });
    this.#lastWarning = text;
    const denied = error instanceof EtcdRefusal && error.denied;
    const trouble = new RegistryError(denied ? "denied" : "unreachable", text, error);
    this.#denial = denied ? trouble : undefined;
    this.#fresh = false;
    view.markStale();
    view.setTrouble(trouble);
    this.#tell();
    return denied ? deniedRetryMs : this.#backoff.next();
  }

  async #useSnapshotFile(): Promise<void> {
    const { view, snapshots, deps } = this.#options;
    const late = () => this.#instances !== undefined || this.#closed;
    if (late() || snapshots === undefined) return;
    const endpoints = await snapshots.load(view.service);
    if (endpoints === undefined || late()) return;
    deps.log.warn("etcd has not answered yet; using the last known endpoints", { service: view.service });
    view.publish(endpoints, true, true);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
