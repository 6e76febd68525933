import { setMaxListeners } from "node:events";
import { type Address, formatAddress } from "../../base/address.js";
import { Backoff, registryBackoff } from "../../base/backoff.js";
import { Emitter } from "../../base/emitter.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Link, LinkEvents } from "../served/link.js";
import { checkAnswer, jsonOf, notConsul } from "./answers.js";
import type { ConsulAnswer, ConsulHttp, ConsulRequest } from "./http.js";

export interface AgentsOptions {
  addresses: readonly Address[];
  http: ConsulHttp;
  deps: Filled<RegistryDeps>;
  /** How often the agent in use is checked, ms. */
  pingMs: number;
  /** How long it may take to answer that, ms. */
  pingTimeoutMs: number;
}

/**
 * The agents of a URL, of which one at a time is used. It is polled for its leader. If it hangs, has no
 * leader or is down, the next agent is used, and its requests are aborted. Requests are also aborted when another leader
 * was elected, since the agent would keep waiting for the old one.
 */
export class ConsulAgents implements Link {
  readonly #options: AgentsOptions;
  readonly #events = new Emitter<LinkEvents>();
  readonly #backoff: Backoff;
  readonly #pinger: Reconciler;
  #index: number;
  #up = false;
  #leader = "";
  /** Consecutive agents that did not answer. */
  #failures = 0;
  #generation = newGeneration();
  #started = false;
  #lastWarning = "";

  constructor(options: AgentsOptions) {
    this.#options = options;
    const { addresses, deps } = options;
    this.#index = Math.floor(deps.random() * addresses.length);
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#pinger = new Reconciler({
      clock: deps.clock,
      run: () => this.#ping(),
      onError: (error) => this.#onSilence(error),
    });
  }

  /** Whether the agent in use answered last time. */
  get up(): boolean {
    return this.#up;
  }

  get current(): Address {
    return this.#options.addresses[this.#index] as Address;
  }

  readonly on = this.#events.on.bind(this.#events) as Link["on"];

  /** Idempotent. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#pinger.trigger();
  }

  /** A request to the agent in use. It is aborted when another agent is used, or when another leader was elected. */
  async send(request: Omit<ConsulRequest, "agent">): Promise<ConsulAnswer> {
    const generation = this.#generation.signal;
    const own = request.signal;
    const signal = own === undefined ? generation : AbortSignal.any([generation, own]);
    try {
      return await this.#options.http.send({ ...request, agent: this.current, signal });
    } catch (error) {
      if (!signal.aborted) this.suspect();
      throw error;
    }
  }

  /** A request to an agent that is no longer in use. */
  sendTo(agent: Address, request: Omit<ConsulRequest, "agent" | "signal">): Promise<ConsulAnswer> {
    return this.#options.http.send({ ...request, agent });
  }

  /** Running requests are aborted, and reject. */
  giveUpWaiting(): void {
    const over = this.#generation;
    this.#generation = newGeneration();
    over.abort();
  }

  /** Something went wrong with the agent in use: check it now. */
  suspect(): void {
    this.#pinger.trigger();
  }

  async stop(): Promise<void> {
    const stopped = this.#pinger.stop();
    this.#generation.abort();
    this.#options.http.close();
    await stopped;
  }

  async #ping(): Promise<number> {
    const { http, pingTimeoutMs, pingMs, deps } = this.#options;
    const agent = this.current;
    const answer = await http.send({
      ...{ agent, method: "GET", path: "status/leader", timeoutMs: pingTimeoutMs },
    });
    const leader = readLeader(answer, agent);
    if (this.#leader !== "" && leader !== this.#leader) this.giveUpWaiting();
    this.#leader = leader;
    this.#failures = 0;
    this.#backoff.reset();
    this.#lastWarning = "";
    if (!this.#up) {
      this.#up = true;
      this.#events.emit("up", undefined);
    }
    return pingMs * (0.9 + 0.2 * deps.random());
  }

  #onSilence(error: unknown): number {
    const { addresses, deps } = this.#options;
    const reason = error instanceof Error ? error : new Error(reasonOf(error));
    this.#index = (this.#index + 1) % addresses.length;
    this.#failures += 1;
    this.#up = false;
    this.#leader = "";
    this.giveUpWaiting();
    if (reason.message !== this.#lastWarning)
      deps.log.warn("a Consul agent does not answer", { error: reason.message });
    this.#lastWarning = reason.message;
    this.#events.emit("down", { reason });
    // Try each agent once without delay, since the next may be fine.
    return this.#failures < addresses.length ? 0 : this.#backoff.next();
  }
}

/** Every running request adds a listener. */
function newGeneration(): AbortController {
  const generation = new AbortController();
  setMaxListeners(Infinity, generation.signal);
  return generation;
}

/** The leader's address. Throws Error without one, or when the server is not Consul. */
function readLeader(answer: ConsulAnswer, agent: Address): string {
  const where = formatAddress(agent);
  try {
    checkAnswer(answer, "");
    const leader = jsonOf(answer);
    if (typeof leader !== "string") throw new Error(notConsul(answer.status));
    if (leader === "") throw new Error("it knows no leader of the Consul servers");
    return leader;
  } catch (error) {
    if (answer.status === 404 || answer.status === 405)
      throw new Error(`${where}: ${notConsul(answer.status)}`);
    throw new Error(`${where}: ${reasonOf(error)}`, { cause: error });
  }
}
