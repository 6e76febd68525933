import { type Address, formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { isSameGroup, type ProviderEntry } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Registration } from "../registry.js";
import { tellLost } from "../view.js";
import type { ConsulAgents } from "./agents.js";
import { ConsulRefusal } from "./answers.js";
import { type ConsulCatalog, toRegistryError } from "./catalog.js";
import { type ConsulInstance, consulId, consulRegistration } from "./layout.js";
import type { ConsulService } from "./service.js";

export interface ConsulRegistrationOptions {
  registration: Registration;
  entry: ProviderEntry;
  catalog: ConsulCatalog;
  agents: ConsulAgents;
  service: ConsulService;
  deps: Filled<RegistryDeps>;
  ttlMs: number;
  requestTimeoutMs: number;
  /** It is no longer maintained, and never will be. */
  onOver: () => void;
}

/** An agent without a leader reports a registration to the servers later; registering again makes it try at once. */
const againMs = 1000;
const retryMs = 1000;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;

/** `superseded`: a newer provider has the address, and we wait for it to go. */
type State = "starting" | "established" | "superseded" | "withdrawing" | "over";

/**
 * One registration at the agent in use, kept passing until it is withdrawn. When that agent is lost it is made at the next
 * one, under the same id: the old agent lets it expire, and callers take two of one address for one.
 *
 *     starting --> established <--> superseded
 *        |              |               |
 *        '--------------+---------------+--> withdrawing --> over
 */
export class ConsulRegistration {
  readonly #options: ConsulRegistrationOptions;
  readonly #id: string;
  readonly #reconciler: Reconciler;
  readonly #unlisten: () => void;
  readonly #waiting = new Set<() => void>();
  /** Every agent that may know it. */
  readonly #agents = new Map<string, Address>();
  #state: State = "starting";
  /** The agent where it was last registered, and when it needs the next renewal, on the clock. */
  #at: Address | undefined;
  #beatDueMs = 0;
  #failure: RegistryError | undefined;
  #lastWarning = "";

  constructor(options: ConsulRegistrationOptions) {
    this.#options = options;
    const { catalog, registration, entry, deps, service, agents } = options;
    this.#id = consulId(catalog.prefix, registration.service, entry);
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#reconcile(),
      onError: (error) => this.#onError(error),
    });
    this.#unlisten = service.listen(() => this.#onRead());
    if (agents.up) this.#reconciler.trigger();
    service.refresh();
  }

  /** Resolves when callers can see it. Rejects with RegistryError when that can never happen. */
  async established(): Promise<void> {
    if (this.#state === "starting") await this.#nextState();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Why it is not established yet; empty when unknown. */
  get trouble(): string {
    return this.#lastWarning;
  }

  /** Resolves when callers no longer see it, or no agent answers; then it expires. */
  async withdraw(): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "withdrawing";
    this.#reconciler.trigger();
    if (this.#options.agents.up) await this.#nextState();
  }

  onUp(): void {
    // The agent may have lost it, or another agent is in use.
    this.#at = undefined;
    this.#reconciler.trigger();
  }

  onDown(): void {
    if (this.#state === "withdrawing") this.#tell();
  }

  /** Withdraws it at once, without checking what callers see, and ends. Never rejects. */
  async close(): Promise<void> {
    if (this.#state === "starting") this.#failure = new RegistryError("closed", "the registry was closed");
    const over = this.#state === "over";
    this.#state = "over";
    this.#unlisten();
    this.#tell();
    await this.#reconciler.stop();
    if (!over) await this.#deregister().catch(() => {});
  }

  #onRead(): void {
    const { service, registration } = this.#options;
    if (this.#state === "withdrawing" && !service.fresh) this.#tell();
    if (this.#state === "starting" && service.denial !== undefined) {
      // It could never be known whether callers see it.
      const text = `cannot register ${registration.service}: ${service.denial.message}`;
      this.#failure = new RegistryError("denied", text, service.denial);
      this.#tell();
      return;
    }
    this.#reconciler.trigger();
  }

  async #reconcile(): Promise<number | undefined> {
    const { agents } = this.#options;
    if (this.#state === "over" || !agents.up) return undefined;
    if (this.#state === "withdrawing") return this.#withdrawn();
    const { mine, newer, rivals } = this.#inCatalog();
    if (this.#state === "superseded") {
      if (rivals.length > 0 || this.#options.service.recovering) return againMs;
    } else if (newer || (this.#state === "established" && mine.length === 0 && rivals.length > 0)) {
      return this.#giveWay();
    }
    await this.#keepUp(mine.length === 0);
    // The next reading has what callers see.
    if (mine.length === 0) return againMs;
    if ((this.#state as State) === "withdrawing") return 0;
    this.#establish(rivals);
    return this.#beatDueMs - this.#options.deps.clock.now();
  }

  /** Renews the check when that is due, and registers if the agent does not know us. */
  async #keepUp(unseen: boolean): Promise<void> {
    const { agents, deps, catalog } = this.#options;
    const agent = agents.current;
    if (this.#at === agent && !unseen) {
      if (deps.clock.now() < this.#beatDueMs) return;
      try {
        return await this.#beat();
      } catch (error) {
        // It has forgotten us: it was started again without its data, or somebody removed us.
        if (!(error instanceof ConsulRefusal) || error.denied) throw error;
      }
    }
    const { registration, entry, ttlMs } = this.#options;
    this.#agents.set(formatAddress(agent), agent);
    await catalog.write(
      "agent/service/register",
      consulRegistration(catalog.prefix, registration.service, entry, ttlMs),
    );
    this.#at = agent;
    // An agent that knew the check leaves it as it was, critical perhaps.
    await this.#beat();
  }

  async #beat(): Promise<void> {
    const { catalog, deps, ttlMs } = this.#options;
    await catalog.write(`agent/check/update/${encodeURIComponent(this.#id)}`, { Status: "passing" });
    this.#lastWarning = "";
    this.#beatDueMs = deps.clock.now() + (ttlMs / 3) * (0.9 + 0.1 * deps.random());
  }

  /** What the catalog shows of our address, as it was last read. */
  #inCatalog(): { mine: readonly ConsulInstance[]; rivals: readonly ConsulInstance[]; newer: boolean } {
    const { entry, service } = this.#options;
    const address = formatAddress(entry.address);
    const same = (service.instances ?? []).filter((one) => formatAddress(one.endpoint) === address);
    const mine = same.filter(({ id }) => id === this.#id);
    const rivals = same.filter(
      ({ id, entry: other }) => id !== this.#id && other !== undefined && !isSameGroup(other, entry),
    );
    const createIndex = Math.max(0, ...mine.map((one) => one.createIndex));
    const newer = mine.length > 0 && rivals.some((rival) => rival.createIndex > createIndex);
    return { mine, rivals, newer };
  }

  #establish(older: readonly ConsulInstance[]): void {
    if (this.#state === "established") return;
    const { registration, entry, deps } = this.#options;
    const facts = { service: registration.service, address: formatAddress(entry.address) };
    if (this.#state === "superseded")
      deps.log.info("the newer provider of our address is gone: registered again", facts);
    this.#state = "established";
    this.#tell();
    // Those of earlier starts that did not end well would be shown again when we leave.
    for (const { id } of older) void this.#sweep(id);
  }

  async #sweep(id: string): Promise<void> {
    try {
      await this.#options.catalog.write(`agent/service/deregister/${encodeURIComponent(id)}`);
    } catch {
      // It is at another agent, where it expires.
    }
  }

  /** A newer provider has our address. A start fails; an established provider waits until the newer one leaves. */
  async #giveWay(): Promise<number | undefined> {
    const { registration, entry, deps } = this.#options;
    const before = this.#state;
    await this.#deregister();
    if ((this.#state as State) === "withdrawing") return 0;
    const text = `${formatAddress(entry.address)} of ${registration.service} was registered by a newer provider`;
    const reason = new RegistryError("superseded", text);
    if (before === "starting") {
      this.#failure = reason;
      this.#finish();
      return undefined;
    }
    this.#state = "superseded";
    deps.log.warn("a registration gave way; it is made again when the newer one goes", {
      ...{ service: registration.service, reason: text },
    });
    tellLost(registration, reason, deps.log);
    return againMs;
  }

  async #withdrawn(): Promise<number | undefined> {
    await this.#deregister();
    const { service } = this.#options;
    // Callers may still see it; the next reading shows that.
    if (service.fresh && this.#inCatalog().mine.length > 0) return againMs;
    this.#finish();
    return undefined;
  }

  /** At every agent that may know it. Rejects when the one in use does not do it. */
  async #deregister(): Promise<void> {
    const { agents, requestTimeoutMs } = this.#options;
    const path = `agent/service/deregister/${encodeURIComponent(this.#id)}`;
    const { current } = agents;
    const others = [...this.#agents.values()].filter((agent) => agent !== current);
    const asked = others.map((agent) =>
      agents.sendTo(agent, { method: "PUT", path, timeoutMs: requestTimeoutMs }).catch(() => {}),
    );
    try {
      if (this.#agents.has(formatAddress(current))) await this.#options.catalog.write(path);
    } catch (error) {
      // The agent does not know us any more, which is the desired state.
      if (!(error instanceof ConsulRefusal) || error.denied || error.status >= 500) {
        if (!/unknown service/i.test(reasonOf(error))) throw error;
      }
    }
    await Promise.all(asked);
    this.#at = undefined;
  }

  #onError(error: unknown): number | undefined {
    const { registration, agents } = this.#options;
    if (!agents.up) {
      if (this.#state === "withdrawing") this.#tell();
      return undefined;
    }
    const denied = error instanceof ConsulRefusal && error.denied;
    if (denied && this.#state === "starting") {
      this.#failure = toRegistryError(`cannot register ${registration.service}`, error);
      this.#finish();
      return undefined;
    }
    if (this.#state === "withdrawing") {
      // The wait for it ends here.
      this.#tell();
      this.#warn("cannot withdraw a registration", error);
      return denied ? deniedRetryMs : retryMs;
    }
    this.#warn("cannot keep a registration up", error);
    return denied ? deniedRetryMs : retryMs;
  }

  #warn(what: string, error: unknown): void {
    const { registration, deps } = this.#options;
    const text = reasonOf(error);
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    deps.log.warn(what, { service: registration.service, error: text });
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#unlisten();
    this.#options.onOver();
    this.#tell();
  }

  #nextState(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
