import { reasonOf } from "../errors.js";
import { ReadService, type ReadServiceParts } from "../served/service.js";
import type { SessionStream } from "./calls.js";
import type { EtcdConnection } from "./connection.js";
import { Event_EventType, KV, Watch, type WatchResponse } from "./gen/rpc.js";
import { type EtcdInstance, newestEndpoints, rangeOf, readInstance, serviceFolder } from "./layout.js";
import { isDenied } from "./refusal.js";

/** What services and registrations of one registry have in common. */
export interface EtcdOwn {
  connection: EtcdConnection;
  /** What all keys begin with; ends in a `/`. */
  folder: string;
  requestTimeoutMs: number;
}

type WatchStream = SessionStream<typeof Watch.methods.watch>;

/** A burst of changes is told once. */
const settleMs = 5;

/**
 * The instances of one service: read whole, and from that revision on kept up to date by a watch. When the watch ends, for
 * whatever reason, all is read again: because the connection was lost, or because the revision it was to go on from was compacted.
 */
export class EtcdService extends ReadService {
  readonly #own: EtcdOwn;
  #instances: Map<string, EtcdInstance> | undefined;
  #stream: WatchStream | undefined;
  /** Of the newest answer. A lower one, or another cluster, means that the data were lost. */
  #revision = 0n;
  #clusterId = 0n;

  constructor(parts: ReadServiceParts, own: EtcdOwn) {
    super(parts, "etcd");
    this.#own = own;
  }

  /** What etcd has, as far as is known; `undefined` before it was read for the first time. */
  get instances(): ReadonlyMap<string, EtcdInstance> | undefined {
    return this.#instances;
  }

  override async close(): Promise<void> {
    const closed = super.close();
    this.#stopWatching();
    await closed;
    this.#stopWatching();
  }

  protected override restart(): void {
    this.#stopWatching();
  }

  protected override isDenied(error: unknown): boolean {
    return isDenied(error);
  }

  protected override async read(): Promise<number | undefined> {
    if (this.closed.aborted || !this.parts.link.up) return undefined;
    if (this.#stream === undefined) await this.#readAll();
    // The connection was lost meanwhile.
    if (this.closed.aborted || !this.fresh || this.#instances === undefined) return undefined;
    return this.show(newestEndpoints(this.#instances.values()));
  }

  async #readAll(): Promise<void> {
    const { connection, folder, requestTimeoutMs } = this.#own;
    const range = rangeOf(serviceFolder(folder, this.view.service));
    const { header, kvs } = await connection.call(KV.methods.range, range, requestTimeoutMs);
    const { revision = 0n, clusterId = 0n } = header ?? {};
    const stream = await connection.stream(Watch.methods.watch);
    if (this.closed.aborted) {
      stream.close();
      return;
    }
    if (revision < this.#revision || clusterId !== this.#clusterId) this.keepMissing();
    this.#revision = revision;
    this.#clusterId = clusterId;
    const instances = new Map<string, EtcdInstance>();
    for (const kv of kvs) {
      const instance = readInstance(kv);
      if (instance !== undefined) instances.set(instance.key, instance);
    }
    this.#instances = instances;
    this.readAgain();
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
        this.backoff.reset();
        this.#apply(response);
      }
    } catch (error) {
      reason = this.#own.connection.explain(error);
    }
    if (stream !== this.#stream) return;
    this.#stopWatching();
    this.parts.deps.log.debug("a watch of a service in etcd has ended; it is read again", {
      ...{ service: this.view.service, reason: reasonOf(reason) },
    });
    this.reconciler.trigger(this.backoff.next());
  }

  #apply({ header, events }: WatchResponse): void {
    this.#revision = header?.revision ?? this.#revision;
    for (const { type, kv } of events) {
      if (kv === undefined) continue;
      const instance = type === Event_EventType.PUT ? readInstance(kv) : undefined;
      if (instance === undefined) this.#instances?.delete(Buffer.from(kv.key).toString("utf8"));
      else this.#instances?.set(instance.key, instance);
    }
    if (events.length > 0) this.reconciler.trigger(settleMs);
  }

  #stopWatching(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }
}
