import { setMaxListeners } from "node:events";
import { type Address, formatAddress } from "../../base/address.js";
import { Backoff, registryBackoff } from "../../base/backoff.js";
import { Emitter } from "../../base/emitter.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import { checkAnswer, jsonOf, notConsul } from "./answers.js";
import type { ConsulAnswer, ConsulHttp, ConsulRequest } from "./http.js";

interface AgentsEvents {
  /** An agent answers and knows a leader: whatever is to be read or written can be. */
  up: undefined;
  /** It does no more, or none does yet. */
  down: { reason: Error };
}

export interface AgentsOptions {
  addresses: readonly Address[];
  http: ConsulHttp;
  deps: Filled<RegistryDeps>;
  /** How often the agent in use is asked whether it is there, ms. */
  pingMs: number;
  /** How long it may take to answer that, ms. */
  pingTimeoutMs: number;
}

/**
 * The agents of a URL, of which one at a time is used. It is asked for its leader again and again: one that hangs, has no
 * leader or is gone is left for the next, and what waits at it is given up. So is what waits when another leader was
 * elected, since the agent would go on waiting for an answer of the old one.
 */
export class ConsulAgents {
  readonly #options: AgentsOptions;
  readonly #events = new Emitter<AgentsEvents>();
  readonly #backoff: Backoff;
  readonly #pinger: Reconciler;
  #index: number;
  #up = false;
  #leader = "";
  /** Agents tried in a row that did not answer. */
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

  readonly on = this.#events.on.bind(this.#events) as Emitter<AgentsEvents>["on"];

  /** Idempotent. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#pinger.trigger();
  }

  /** A request to the agent in use. It is given up when that one is left, or when another leader was elected. */
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

  /** A request to one that is not in use any more. */
  sendTo(agent: Address, request: Omit<ConsulRequest, "agent" | "signal">): Promise<ConsulAnswer> {
    return this.#options.http.send({ ...request, agent });
  }

  /** Requests under way are given up, and reject. */
  giveUpWaiting(): void {
    const over = this.#generation;
    this.#generation = newGeneration();
    over.abort();
  }

  /** Something went wrong with the agent in use: it is asked now. */
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
    // Each once at once: the next may be well.
    return this.#failures < addresses.length ? 0 : this.#backoff.next();
  }
}

/** Every request under way listens. */
function newGeneration(): AbortController {
  const generation = new AbortController();
  setMaxListeners(Infinity, generation.signal);
  return generation;
}

/** The leader's address. Throws Error without one, or when it is no Consul that answers. */
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
