import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { isServiceName } from "../entry.js";
import type { Endpoint, ServiceListing } from "../registry.js";
import { orderEndpoints } from "../view.js";
import type { ConsulAgents } from "./agents.js";
import { ConsulRefusal, checkAnswer, hiddenText, jsonOf } from "./answers.js";
import type { ConsulAnswer, ConsulRequest } from "./http.js";
import { type ConsulInstance, consulName, isCallable, newestEndpoints, readInstances } from "./layout.js";

/** How long a blocking query waits for a change before it is repeated, ms. */
const waitMs = 55_000;
/** With more services than `waitingMax` their queries take turns, and each waits for this long. */
const shortWaitMs = 1000;
/** Consul allows 200 connections per client address, and other processes of this machine may use the same agent. */
const waitingMax = 64;
/** Consul adds up to a sixteenth of the wait to it, and the answer has its way to go. */
const answerLateMs = 10_000;
const listingMax = 16;

export interface ConsulCatalogOptions {
  agents: ConsulAgents;
  /** With its `/`, or empty. */
  prefix: string;
  requestTimeoutMs: number;
  deps: Filled<RegistryDeps>;
}

/** Reads and writes mprpc's data in Consul. */
export class ConsulCatalog {
  readonly prefix: string;
  readonly #options: ConsulCatalogOptions;
  /** Services that are polled. */
  #readers = 0;
  /** Queries that wait for a change, and those that wait for their turn. */
  #asking = 0;
  readonly #turns: Array<() => void> = [];

  constructor(options: ConsulCatalogOptions) {
    this.#options = options;
    this.prefix = options.prefix;
  }

  /** How many services are polled: with many, each query has to be short. */
  setReaders(count: number): void {
    const before = this.#readers;
    this.#readers = count;
    // Running queries would occupy their slots for long.
    if (before <= waitingMax && count > waitingMax) this.#options.agents.giveUpWaiting();
  }

  /** The instances of a service; with an `index` above 0, once they differ from those of that index, or after a while. */
  async read(
    service: string,
    index: number,
    signal?: AbortSignal,
  ): Promise<{ instances: ConsulInstance[]; index: number }> {
    if (index === 0) return this.#read(service, index, signal);
    await this.#turn();
    try {
      return await this.#read(service, index, signal);
    } finally {
      this.#asking -= 1;
      this.#turns.shift()?.();
    }
  }

  async #read(
    service: string,
    index: number,
    signal: AbortSignal | undefined,
  ): Promise<{ instances: ConsulInstance[]; index: number }> {
    const waiting = index > 0;
    const forMs = this.#readers > waitingMax ? shortWaitMs : waitMs;
    const answer = await this.#options.agents.send({
      ...{ method: "GET", path: `health/service/${encodeURIComponent(consulName(this.prefix, service))}` },
      query: waiting ? { index: String(index), wait: `${forMs}ms` } : {},
      timeoutMs: waiting ? forMs * (17 / 16) + answerLateMs : this.#options.requestTimeoutMs,
      signal,
    });
    checkAnswer(answer, this.prefix);
    const instances = readInstances(jsonOf(answer));
    if (instances.length === 0) await this.#checkReadable(consulName(this.prefix, service));
    return { instances, index: Math.max(1, answer.index) };
  }

  /** Every service of ours and its endpoints. */
  async list(): Promise<ServiceListing[]> {
    const answer = await this.#send({ method: "GET", path: "catalog/services" });
    checkAnswer(answer, this.prefix);
    const tags = jsonOf(answer) as Readonly<Record<string, unknown>>;
    const services = Object.keys(tags)
      .filter((name) => name.startsWith(this.prefix) && isCallable(tags[name]))
      .map((name) => name.slice(this.prefix.length))
      .filter(isServiceName);
    if (services.length === 0) await this.#checkReadable(this.prefix);
    const listed: ServiceListing[] = [];
    const next = async (): Promise<void> => {
      for (let service = services.shift(); service !== undefined; service = services.shift()) {
        const endpoints = await this.#endpointsOf(service);
        if (endpoints.length > 0) listed.push({ service, endpoints });
      }
    };
    await Promise.all(Array.from({ length: listingMax }, next));
    return listed.sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  async #endpointsOf(service: string): Promise<Endpoint[]> {
    return orderEndpoints(newestEndpoints((await this.read(service, 0)).instances));
  }

  /** Throws ConsulRefusal when `path`, encoded, is refused at the agent in use. */
  async write(path: string, body?: unknown): Promise<void> {
    checkAnswer(await this.#send({ method: "PUT", path, body }), this.prefix);
  }

  #send(request: Pick<ConsulRequest, "method" | "path" | "body">): Promise<ConsulAnswer> {
    const { agents, requestTimeoutMs } = this.#options;
    return agents.send({ ...request, timeoutMs: requestTimeoutMs });
  }

  /** Consul silently leaves out what may not be read, so check an empty list. Throws ConsulRefusal. */
  async #checkReadable(name: string): Promise<void> {
    const answer = await this.#send({
      ...{ method: "POST", path: "internal/acl/authorize" },
      body: [
        { Resource: "service", Access: "read", Segment: name },
        { Resource: "node", Access: "read", Segment: "mprpc" },
      ],
    });
    // Without ACLs, and in versions without this check, assume that nothing is hidden.
    if (answer.status !== 200) return;
    const allowed = jsonOf(answer);
    if (!Array.isArray(allowed)) return;
    if (allowed.some((one: { Allow?: unknown } | null) => one?.Allow === false))
      throw new ConsulRefusal(403, hiddenText(this.prefix), true);
  }

  async #turn(): Promise<void> {
    this.#asking += 1;
    if (this.#asking <= waitingMax) return;
    await new Promise<void>((resolve) => this.#turns.push(resolve));
  }
}
