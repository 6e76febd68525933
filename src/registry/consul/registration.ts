import { type Address, formatAddress } from "../../base/address.js";
import { isSameGroup } from "../entry.js";
import { reasonOf } from "../errors.js";
import { KeptRegistration, type KeptRegistrationParts, type Shown } from "../served/registration.js";
import type { ConsulAgents } from "./agents.js";
import { ConsulRefusal, isDenied } from "./answers.js";
import type { ConsulCatalog } from "./catalog.js";
import { type ConsulInstance, consulId, consulRegistration } from "./layout.js";
import type { ConsulService } from "./service.js";

export interface ConsulRegistrationOptions {
  catalog: ConsulCatalog;
  agents: ConsulAgents;
  requestTimeoutMs: number;
}

/**
 * One registration at the agent in use, kept passing until it is withdrawn. When that agent is lost it is made at the next
 * one, under the same id: the old agent lets it expire, and callers take two of one address for one.
 */
export class ConsulRegistration extends KeptRegistration<ConsulService, ConsulInstance> {
  readonly #options: ConsulRegistrationOptions;
  readonly #id: string;
  /** Every agent that may know it. */
  readonly #agents = new Map<string, Address>();
  /** The agent where it was last registered. */
  #at: Address | undefined;

  constructor(parts: KeptRegistrationParts<ConsulService>, options: ConsulRegistrationOptions) {
    super(parts);
    this.#options = options;
    this.#id = consulId(options.catalog.prefix, parts.registration.service, parts.entry);
  }

  protected override begin(): void {
    // The agent may have lost it, or another agent is in use.
    this.#at = undefined;
  }

  protected override shown(): Shown<ConsulInstance> {
    const { entry, service } = this.parts;
    const address = formatAddress(entry.address);
    const same = (service.instances ?? []).filter((one) => formatAddress(one.endpoint) === address);
    const mine = same.filter(({ id }) => id === this.#id);
    const rivals = same.filter(
      ({ id, entry: other }) => id !== this.#id && other !== undefined && !isSameGroup(other, entry),
    );
    const createIndex = Math.max(0, ...mine.map((one) => one.createIndex));
    const newer = mine.length > 0 && rivals.some((rival) => rival.createIndex > createIndex);
    return { mine: mine.length > 0, rivals, newer };
  }

  /** Renews the check when that is due, and registers if the agent does not know us. */
  protected override async keepUp(unseen: boolean): Promise<void> {
    const { agents, catalog } = this.#options;
    const { registration, entry, deps, ttlMs } = this.parts;
    const agent = agents.current;
    if (this.#at === agent && !unseen) {
      if (deps.clock.now() < this.beatDueMs) return;
      try {
        return await this.#beat();
      } catch (error) {
        // It has forgotten us: it was started again without its data, or somebody removed us.
        if (!(error instanceof ConsulRefusal) || error.denied) throw error;
      }
    }
    this.#agents.set(formatAddress(agent), agent);
    // An agent without a leader reports a registration to the servers later; registering again makes it try at once.
    await catalog.write(
      "agent/service/register",
      consulRegistration(catalog.prefix, registration.service, entry, ttlMs),
    );
    this.#at = agent;
    // An agent that knew the check leaves it as it was, critical perhaps.
    await this.#beat();
  }

  async #beat(): Promise<void> {
    const path = `agent/check/update/${encodeURIComponent(this.#id)}`;
    await this.#options.catalog.write(path, { Status: "passing" });
    this.beatAgain();
  }

  /** One that is at another agent expires there. */
  protected override sweep({ id }: ConsulInstance): Promise<void> {
    return this.#options.catalog.write(`agent/service/deregister/${encodeURIComponent(id)}`);
  }

  /** At every agent that may know it. */
  protected override async takeAway(): Promise<void> {
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

  protected override isDenied(error: unknown): boolean {
    return isDenied(error);
  }
}
