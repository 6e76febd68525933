import { checkOptions, durationMs, type Filled, integer, type OptionRule } from "../../base/options.js";
import { streamTurn } from "../../call/stream-turn.js";
import { type HostOptions, type HostProgram, SimulatedHost } from "./host.js";
import type { Machine } from "./machine.js";
import { SimulatedNetwork } from "./network.js";
import { type NetworkOptions, networkDefaults, networkRules } from "./network-options.js";
import { SeededRandom } from "./random.js";
import { RegistryServer } from "./registry-server.js";
import { Scheduler } from "./scheduler.js";
import { Trace } from "./trace.js";

export interface SimulationOptions {
  /** A whole number; the same one gives the same trace. Default 1. */
  seed?: number | undefined;
  /** What the network does from the beginning. Default: small delays, pieces cut and joined, nothing lost. */
  network?: NetworkOptions | undefined;
  /** A host that the registry hears nothing of for so long loses what it registered, ms. Default 6000. */
  sessionTimeoutMs?: number | undefined;
  /** Of so many lines of the trace the newest are kept to be read; all count for its hash. Default 10,000. */
  traceLines?: number | undefined;
}

export interface PartitionOptions {
  /** Only what `a` sends to `b` is held up. Default false. */
  oneWay?: boolean | undefined;
}

export interface BreakOptions {
  /** It happens when so many more bytes have arrived at `b`; 0: at once. Default 0. */
  afterBytes?: number | undefined;
}

/** The name of the registry's own host, to cut others off from it. */
export const registryHost = "registry";

const anyOptions: OptionRule = { expected: "an object", accepts: (value) => typeof value === "object" };

/**
 * Services in one process, on a virtual clock and a network that a seed decides: the same seed gives the same run, event
 * by event.
 *
 *     const sim = new Simulation({ seed: 7 });
 *     const orders = sim.host("orders", async (app) => {
 *       const provider = new RpcProvider(app).notifyService(OrderService, handlers);
 *       await provider.start();
 *       return provider;
 *     });
 *     const shop = new OrderServiceStub(new RpcChannel(sim.host("shop").app));
 *     await sim.run(100);
 *     orders.crash();
 *     await expect(sim.until(shop.place({ item: 1 }))).rejects.toThrow("[unavailable]");
 */
export class Simulation {
  readonly seed: number;
  /** For the test's own choices: a stream of numbers of the seed. */
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly #scheduler = new Scheduler();
  readonly #network: SimulatedNetwork;
  readonly #hosts = new Map<string, SimulatedHost>();
  readonly #registryMachine: Machine;
  readonly #registry: RegistryServer;

  /** Throws `TypeError` or `RangeError` for bad options. */
  constructor(options: SimulationOptions = {}) {
    const defaults = { seed: 1, network: {}, sessionTimeoutMs: 6000, traceLines: 10_000 };
    const checked = checkOptions<Filled<SimulationOptions>>("Simulation", options, defaults, {
      seed: integer(Number.MIN_SAFE_INTEGER),
      network: anyOptions,
      sessionTimeoutMs: durationMs(1),
      traceLines: integer(0),
    });
    // What streams of an earlier run have moved must not decide where those of this one take turns.
    streamTurn.begin();
    this.seed = checked.seed;
    this.random = SeededRandom.of(checked.seed, "test");
    this.trace = new Trace(checked.traceLines);
    const note = (text: string): void => this.note(text);
    this.#network = new SimulatedNetwork(this.#scheduler, SeededRandom.of(checked.seed, "network"), note);
    this.setNetwork(checked.network);
    this.#registryMachine = this.#network.addMachine(registryHost);
    this.#registry = new RegistryServer(this.#scheduler, checked.sessionTimeoutMs, (text) =>
      note(`${registryHost} ${text}`),
    );
  }

  /** Milliseconds since the simulation began. */
  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  /** Writes a line of the test's own into the trace. */
  note(text: string): void {
    this.trace.add(this.#scheduler.nowMs, text);
  }

  // --- hosts ---

  /**
   * A host, up at once; its program is called as soon as time runs, and again at every start. Without a program it is a
   * place for the test's own channels. Throws `TypeError` for a name that is taken.
   */
  host(name: string, program: HostProgram = () => {}, options: HostOptions = {}): SimulatedHost {
    if (this.#network.machine(name) !== undefined) throw new TypeError(`host: ${name} is there already`);
    const host = new SimulatedHost({
      seed: this.seed,
      machine: this.#network.addMachine(name),
      network: this.#network,
      registry: { server: this.#registry, machine: this.#registryMachine },
      scheduler: this.#scheduler,
      program,
      options,
      note: (text) => this.note(text),
      onFailure: (error) => this.#scheduler.fail(error),
    });
    this.#hosts.set(name, host);
    return host;
  }

  get hosts(): readonly SimulatedHost[] {
    return [...this.#hosts.values()];
  }

  // --- the network ---

  /** Changes what the network does to connections made from now on; what is left out has its default again. */
  setNetwork(options: NetworkOptions): void {
    this.#network.options = checkOptions<Filled<NetworkOptions>>(
      "Simulation: network",
      options,
      { ...networkDefaults },
      networkRules,
    );
  }

  /**
   * Nothing gets from `a` to `b`, nor back unless `oneWay`, until `heal`: connections fall silent, connects time out. As
   * TCP sends again, what was sent meanwhile arrives after the heal, on connections that nobody has given up. `"registry"`
   * is the registry's host.
   */
  partition(
    a: SimulatedHost | string,
    b: SimulatedHost | string,
    { oneWay = false }: PartitionOptions = {},
  ): void {
    const [from, to] = [this.#nameOf(a), this.#nameOf(b)];
    this.note(`partition ${from} ${oneWay ? ">" : "<>"} ${to}`);
    this.#network.link(from, to).setUp(false);
    if (!oneWay) this.#network.link(to, from).setUp(false);
  }

  /**
   * Ends partitions: all of them, those of `a`, or the one between `a` and `b`. Without hosts it also calls off the cuts
   * and drops that connections are still to suffer at some byte.
   */
  heal(a?: SimulatedHost | string, b?: SimulatedHost | string): void {
    const [one, other] = [a, b].map((host) => (host === undefined ? undefined : this.#nameOf(host)));
    this.note(`heal ${one ?? "all"} ${other ?? ""}`.trimEnd());
    for (const link of this.#network.links) {
      const ends = [link.from, link.to];
      const meant = (name: string | undefined): boolean => name === undefined || ends.includes(name);
      if (link.down && meant(one) && meant(other)) link.setUp(true);
    }
    if (one === undefined) this.#network.spareAll();
  }

  /**
   * Breaks the connections between two hosts: at once, or each after `afterBytes` more bytes have arrived at `b`. Returns
   * how many there are.
   */
  cut(a: SimulatedHost | string, b: SimulatedHost | string, { afterBytes = 0 }: BreakOptions = {}): number {
    return this.#breakBetween("cut", a, b, afterBytes);
  }

  /** As `cut`, but nobody is told: the connections fall silent for good. New ones work. */
  drop(a: SimulatedHost | string, b: SimulatedHost | string, { afterBytes = 0 }: BreakOptions = {}): number {
    return this.#breakBetween("drop", a, b, afterBytes);
  }

  #breakBetween(
    kind: "cut" | "drop",
    a: SimulatedHost | string,
    b: SimulatedHost | string,
    afterBytes: number,
  ): number {
    const [from, to] = [this.#nameOf(a), this.#nameOf(b)];
    this.note(`${kind} ${from} ${to}${afterBytes > 0 ? ` after ${afterBytes} bytes` : ""}`);
    const between = this.#network.connectionsBetween(this.#machine(to), this.#machine(from));
    for (const one of between) {
      if (afterBytes > 0) one.failAfter(kind, afterBytes);
      else if (kind === "cut") one.cut();
      else one.drop();
    }
    return between.length;
  }

  #nameOf(host: SimulatedHost | string): string {
    return this.#machine(typeof host === "string" ? host : host.name).name;
  }

  #machine(name: string): Machine {
    const machine = this.#network.machine(name);
    if (machine === undefined) throw new TypeError(`there is no host ${name}`);
    return machine;
  }

  // --- time ---

  /** Lets so many milliseconds pass. Rejects with what a host's program threw. */
  async run(ms: number): Promise<void> {
    await this.#scheduler.run(this.nowMs + ms, () => false);
  }

  /**
   * Lets time pass until `work` has settled, and gives what it gave. Rejects, with the newest lines of the trace, when
   * it has not after `limitMs` (default 10 minutes of the simulation), or when nothing is left that could happen.
   */
  async until<T>(work: PromiseLike<T> | (() => PromiseLike<T>), limitMs = 600_000): Promise<T> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    const result = Promise.resolve(typeof work === "function" ? work() : work);
    result.then(settle, settle);
    const outcome = await this.#scheduler.run(this.nowMs + limitMs, () => settled);
    if (outcome !== "done") {
      const newest = this.trace.lines.slice(-20).join("\n  ");
      throw new Error(
        `what was waited for did not happen within ${limitMs} ms of the simulation; the trace ends\n  ${newest}`,
      );
    }
    return result;
  }

  /** `action` happens after so many milliseconds, whoever runs the time then. It may throw: the run then rejects. */
  after(ms: number, action: () => void): void {
    this.#scheduler.after(ms, action);
  }

  /** Resolves after so many milliseconds; for a test's own steps that go on while `run` or `until` lets time pass. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#scheduler.after(ms, resolve));
  }

  /**
   * Stops every host that is up, as `SimulatedHost.stop` does. Rejects when one does not end, and when timers,
   * connections, listeners or calls are left of one that has ended.
   */
  async end(limitMs = 60_000): Promise<void> {
    await this.until(() => Promise.all(this.hosts.map((host) => host.stop())), limitMs);
    const left = this.hosts.flatMap(({ leftovers }) => leftovers);
    if (left.length > 0) throw new Error(`the simulation left behind: ${left.join(", ")}`);
  }
}
