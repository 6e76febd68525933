import { Backoff, registryBackoff } from "../../base/backoff.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import { MissingEndpoints } from "../missing.js";
import { Reconciler } from "../reconciler.js";
import type { Endpoint } from "../registry.js";
import type { SnapshotFile } from "../snapshot-file.js";
import type { ServiceView } from "../view.js";
import type { Link } from "./link.js";

export interface ReadServiceParts {
  readonly link: Pick<Link, "up">;
  readonly view: ServiceView;
  readonly deps: Filled<RegistryDeps>;
  readonly snapshots: SnapshotFile | undefined;
  readonly emptyGraceMs: number;
  readonly ttlMs: number;
}

/** After a loss providers return within a third of their ttl, and at most this much later, ms. */
const recoveryExtraMs = 2000;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;
/** After this without an answer a starting consumer takes the list of the snapshot file. */
const coldStartMs = 200;

/** One service of a registry, read for as long as somebody wants it. A driver says how it is read. */
export abstract class ReadService {
  protected readonly parts: ReadServiceParts;
  /** What runs `read`. */
  protected readonly reconciler: Reconciler;
  protected readonly backoff: Backoff;
  protected readonly missing: MissingEndpoints;
  /** The server, for messages. */
  readonly #server: string;
  readonly #listeners = new Set<() => void>();
  readonly #closed = new AbortController();
  /** It was read before. */
  #known = false;
  #fresh = false;
  #wasAway = false;
  #lastWarning = "";
  /** Why it may not be read; needs changed permissions. */
  #denial: RegistryError | undefined;

  constructor(parts: ReadServiceParts, server: string) {
    this.parts = parts;
    this.#server = server;
    const { deps, emptyGraceMs, link } = parts;
    this.backoff = new Backoff(registryBackoff, deps.random);
    this.missing = new MissingEndpoints(deps.clock, emptyGraceMs);
    this.reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.read(),
      onError: (error) => this.#onError(error),
    });
    if (link.up) this.reconciler.trigger();
    deps.clock.setTimer(() => void this.#useSnapshotFile(), coldStartMs);
  }

  /** Reads it and publishes what was read, by `readAgain` and `show`. Resolves with the delay before the next run, as that of a Reconciler. */
  protected abstract read(): Promise<number | undefined>;
  /** What was asked for before has to be asked for anew. */
  protected abstract restart(): void;
  /** Whether an error means missing permissions. */
  protected abstract isDenied(error: unknown): boolean;

  get view(): ServiceView {
    return this.parts.view;
  }

  /** Whether it can be read now, as far as is known. */
  get fresh(): boolean {
    return this.#fresh;
  }

  get denial(): RegistryError | undefined {
    return this.#denial;
  }

  /** Whether the registry has just come back, while providers may not have returned yet. */
  get recovering(): boolean {
    return this.missing.keeping;
  }

  get inUse(): boolean {
    return this.#listeners.size > 0 || this.view.watcherCount > 0;
  }

  /** Aborted when it is closed. */
  protected get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** `listener` is called after each reading, and when it cannot be read any more. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads it now if it could not be read before: somebody new wants to know. */
  refresh(): void {
    if (!this.#fresh && this.parts.link.up) this.reconciler.trigger();
  }

  onUp(): void {
    if (this.#wasAway) this.keepMissing();
    this.#wasAway = false;
    this.restart();
    this.backoff.reset();
    this.reconciler.trigger();
  }

  onDown(reason: Error): void {
    this.#wasAway = true;
    this.restart();
    this.#cannotRead(new RegistryError("unreachable", reasonOf(reason), reason));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#listeners.clear();
    await this.reconciler.stop();
  }

  /** After an outage providers register again, each in its time. */
  protected keepMissing(): void {
    if (this.#known) this.missing.keepFor(this.parts.ttlMs / 3 + recoveryExtraMs);
  }

  /** It was read from the server. */
  protected readAgain(): void {
    this.#known = true;
    this.#fresh = true;
    this.#denial = undefined;
    this.#lastWarning = "";
  }

  /**
   * Publishes `endpoints`, with those of `lingering` and those that are kept although they are missing: such a list is stale, and not saved. Gives
   * when to look again at what is kept, ms.
   */
  protected show(endpoints: readonly Endpoint[], lingering: readonly Endpoint[] = []): number | undefined {
    const { view, snapshots } = this.parts;
    const found = [...endpoints, ...lingering];
    const { kept, againMs } = this.missing.keptOf(view.current, found);
    const isKept = lingering.length + kept.length > 0;
    view.publish([...found, ...kept], isKept);
    if (!isKept) void snapshots?.save(view.service, endpoints);
    this.#tell();
    return againMs;
  }

  #onError(error: unknown): number | undefined {
    const { link, deps } = this.parts;
    if (this.closed.aborted || !link.up) return undefined;
    const again = this.passingErrorMs(error);
    if (again !== undefined) return again;
    const text = reasonOf(error);
    if (text !== this.#lastWarning)
      deps.log.warn(`cannot read a service from ${this.#server}`, {
        service: this.view.service,
        error: text,
      });
    this.#lastWarning = text;
    this.restart();
    const denied = this.isDenied(error);
    const trouble = new RegistryError(denied ? "denied" : "unreachable", text, error);
    this.#denial = denied ? trouble : undefined;
    this.#cannotRead(trouble);
    return denied ? deniedRetryMs : this.backoff.next();
  }

  /** The delay before the next reading after an error that means nothing; undefined: it is one. */
  protected passingErrorMs(_error: unknown): number | undefined {
    return undefined;
  }

  #cannotRead(trouble: RegistryError): void {
    this.#fresh = false;
    this.view.markStale();
    this.view.setTrouble(trouble);
    this.#tell();
  }

  async #useSnapshotFile(): Promise<void> {
    const { view, snapshots, deps } = this.parts;
    const late = (): boolean => this.#known || this.closed.aborted;
    if (late() || snapshots === undefined) return;
    const endpoints = await snapshots.load(view.service);
    if (endpoints === undefined || late()) return;
    const text = `${this.#server} has not answered yet; using the last known endpoints`;
    deps.log.warn(text, { service: view.service });
    view.publish(endpoints, true, true);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
