import { ReadService, type ReadServiceParts } from "../served/service.js";
import { isDenied } from "./answers.js";
import type { ConsulCatalog } from "./catalog.js";
import { type ConsulInstance, newestEndpoints } from "./layout.js";
import { agentRetryMs, LingeringInstances } from "./lingering.js";

/** A burst of changes costs one reading, and the readers of a large cluster do not come all at once. */
const settleMs = 5;
const settleJitterMs = 20;
/** Kept endpoints are checked this often. */
const lookMs = 100;

/** One service of the catalog: queried again as soon as it was answered, since each query waits for a change. */
export class ConsulService extends ReadService {
  readonly #catalog: ConsulCatalog;
  readonly #lingering: LingeringInstances;
  /** 0: the list is asked for as it is, without waiting for a change. */
  #index = 0;
  /** The index of the newest answer. */
  #answeredIndex = 0;
  #instances: readonly ConsulInstance[] | undefined;

  constructor(parts: ReadServiceParts, catalog: ConsulCatalog) {
    super(parts, "Consul");
    this.#catalog = catalog;
    this.#lingering = new LingeringInstances(parts.deps.clock, parts.ttlMs);
  }

  /** What the catalog had and was passing when it was last read; `undefined` before the first time. */
  get instances(): readonly ConsulInstance[] | undefined {
    return this.#instances;
  }

  override onUp(): void {
    if (this.#instances !== undefined) this.#lingering.onRecovery();
    super.onUp();
  }

  protected override restart(): void {
    this.#index = 0;
  }

  protected override async read(): Promise<number | undefined> {
    const { view, deps } = this.parts;
    const { instances, index } = await this.#catalog.read(view.service, this.#index, this.closed);
    if (this.closed.aborted) return undefined;
    // The servers' data was lost or restored: what is missing comes back with its providers.
    if (index < this.#answeredIndex) this.missing.keepFor(agentRetryMs);
    this.#index = index < this.#answeredIndex ? 0 : index;
    this.#answeredIndex = index;
    this.backoff.reset();
    this.#instances = instances.filter(({ health }) => health === "passing");
    this.readAgain();
    const lingering = this.#lingering.of(instances, view.current);
    const missingMs = this.show(newestEndpoints(instances), lingering.endpoints);
    const againMs = Math.min(lingering.againMs ?? Infinity, missingMs ?? Infinity);
    if (againMs === Infinity) return settleMs + settleJitterMs * deps.random();
    // Query without waiting for a change.
    this.#index = 0;
    return Math.min(againMs, lookMs * (1 + deps.random()));
  }

  protected override isDenied(error: unknown): boolean {
    return isDenied(error);
  }

  /** Given up because its agent was left, or has a new leader: nothing is wrong. */
  protected override passingErrorMs(error: unknown): number | undefined {
    return isAborted(error) ? 0 : undefined;
  }
}

function isAborted(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) if (one.name === "AbortError") return true;
  return false;
}
