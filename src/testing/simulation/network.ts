import { type Address, formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { Connection, ConnectOptions, Listener, Transport } from "../../transport/transport.js";
import { SimulatedConnection, type Wire } from "./connection.js";
import { Machine, type ProcessGate, type Socket } from "./machine.js";
import { type NetworkOptions, networkDefaults } from "./network-options.js";
import { Link, Path } from "./path.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** A way within one host, ms. */
const loopbackLatencyMs = 0.02;
/** A random fault strikes within the first 2^18 bytes of one direction, an early one as likely as a late one. */
const faultWithinLog2Bytes = 18;

/** What is needed of the process that connects. */
export interface Connecting {
  readonly gate: ProcessGate;
  setTimer(callback: () => void, delayMs: number): { cancel(): void };
}

/** The hosts of a simulation and the ways between them. */
export class SimulatedNetwork {
  options: Readonly<Filled<NetworkOptions>> = networkDefaults;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #note: (text: string) => void;
  readonly #machines = new Map<string, Machine>();
  readonly #links = new Map<string, Link>();
  #connections = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, note: (text: string) => void) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#note = note;
  }

  addMachine(name: string): Machine {
    const count = this.#machines.size + 1;
    const machine = new Machine(name, `10.0.${Math.floor(count / 250)}.${(count % 250) + 1}`);
    this.#machines.set(name, machine);
    return machine;
  }

  machine(name: string): Machine | undefined {
    return this.#machines.get(name);
  }

  /** One direction between two hosts. */
  link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    const link = this.#links.get(key) ?? new Link(from, to);
    this.#links.set(key, link);
    return link;
  }

  get links(): Iterable<Link> {
    return this.#links.values();
  }

  /** A way for things that keep their order, with a latency of its own. */
  path(from: string, to: string): Path {
    const random = this.#random;
    const { latencyMs, jitterMs } = this.options;
    const local = from === to;
    return new Path({
      link: this.link(from, to),
      scheduler: this.#scheduler,
      random,
      latencyMs: local ? loopbackLatencyMs : random.between(...latencyMs),
      jitterMs: local ? 0 : jitterMs,
    });
  }

  /** Open connections between two hosts, by their ends at `a`. */
  connectionsBetween(a: Machine, b: Machine): Socket[] {
    return [...a.connections].filter(({ peer }) => peer?.machine === b);
  }

  /** No open connection breaks at some byte any more. */
  spareAll(): void {
    for (const { connections } of this.#machines.values()) for (const one of connections) one.spare();
  }

  transport(machine: Machine, process: Connecting): Transport {
    return {
      connect: (address, options) => this.#connect(machine, process, address, options),
      listen: async (address, onConnection) => this.#listen(machine, process.gate, address, onConnection),
      localHostTowards: async () => machine.ip,
      get identity() {
        return machine.identity;
      },
    };
  }

  #listen(
    machine: Machine,
    gate: ProcessGate,
    address: Address,
    onConnection: (connection: Connection) => void,
  ): Listener {
    const port = address.port === 0 ? machine.freePort() : address.port;
    const bound = { host: address.host, port };
    const own = [machine.ip, machine.name, "0.0.0.0", "::", "", "127.0.0.1", "localhost"];
    if (!own.includes(address.host)) {
      throw new Error(`cannot listen on ${formatAddress(bound)}: EADDRNOTAVAIL`);
    }
    if (machine.listeners.has(port)) throw new Error(`cannot listen on ${formatAddress(bound)}: EADDRINUSE`);
    const listening = { onConnection, enter: (run: () => void) => gate.enter(run) };
    if (gate.alive) machine.listeners.set(port, listening);
    return {
      address: bound,
      close: async () => {
        if (machine.listeners.get(port) === listening) machine.listeners.delete(port);
      },
    };
  }

  #resolve(from: Machine, host: string): Machine | undefined {
    if (host === "127.0.0.1" || host === "localhost" || host === "::1") return from;
    return this.#machines.get(host) ?? [...this.#machines.values()].find(({ ip }) => ip === host);
  }

  #connect(
    machine: Machine,
    process: Connecting,
    address: Address,
    { timeoutMs, signal }: ConnectOptions,
  ): Promise<Connection> {
    const where = formatAddress(address);
    const target = this.#resolve(machine, address.host);
    return new Promise((resolve, reject) => {
      if (!process.gate.alive) return;
      let client: SimulatedConnection | undefined;
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        return true;
      };
      const fail = (text: string, cause?: unknown): void => {
        if (!settle()) return;
        client?.forget();
        reject(new Error(text, { cause }));
      };
      const onAbort = (): void => fail(`connecting to ${where} was given up`, signal?.reason);
      const timer = process.setTimer(() => {
        fail(`no connection to ${where} within ${timeoutMs} ms (channel.connecttimeout)`);
      }, timeoutMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      const onAnswer = (failure: string | undefined): void => {
        process.gate.enter(() => {
          if (failure !== undefined) fail(`cannot connect to ${where}: ${failure}`);
          else if (settle()) resolve(client as SimulatedConnection);
          else client?.disown();
        });
      };
      if (signal?.aborted) onAbort();
      else if (target === undefined) this.#scheduler.after(loopbackLatencyMs, () => onAnswer("ENOTFOUND"));
      else client = this.#dial(machine, target, address.port, onAnswer);
    });
  }

  /** Sends the SYN; `onAnswer` is told of the answer, or why there is no connection. */
  #dial(
    from: Machine,
    to: Machine,
    port: number,
    onAnswer: (failure: string | undefined) => void,
  ): SimulatedConnection {
    const local = formatAddress({ host: from.ip, port: from.freePort() });
    const remote = formatAddress({ host: to.ip, port });
    const wire = this.#wire();
    const there = this.path(from.name, to.name);
    const back = this.path(to.name, from.name);
    const client = new SimulatedConnection({ wire, machine: from, local, remote, path: there });
    there.send(() => {
      if (client.closed) return;
      const listening = to.listeners.get(port);
      if (listening === undefined || to.refuses || this.#random.chance(this.options.refuse)) {
        back.sendUnreliably(() => onAnswer("ECONNREFUSED"));
        return;
      }
      const server = new SimulatedConnection({ wire, machine: to, local: remote, remote: local, path: back });
      if (from.identity !== undefined) {
        client.security = { kind: "memory", confidential: true, identity: undefined };
        server.security = { ...client.security, identity: from.identity };
      }
      client.peer = server;
      server.peer = client;
      this.#note(`${to.name} #${wire.id} accept ${from.name} ${local} at ${remote}`);
      this.#planFault(client, server);
      listening.enter(() => listening.onConnection(server));
      back.send(() => {
        if (client.closed) client.disown();
        else onAnswer(undefined);
      });
    });
    return client;
  }

  #wire(): Wire {
    const { split, coalesce, windowBytes } = this.options;
    const random = this.#random;
    return {
      id: ++this.#connections,
      scheduler: this.#scheduler,
      random,
      split,
      coalesce,
      windowBytes: random.integer(...windowBytes),
      note: (end, what) => this.#note(`${end.machine.name} #${end.id} ${what}`),
    };
  }

  #planFault(client: SimulatedConnection, server: SimulatedConnection): void {
    const random = this.#random;
    const { cut, drop } = this.options;
    for (const [kind, probability] of [
      ["cut", cut],
      ["drop", drop],
    ] as const) {
      if (!random.chance(probability)) continue;
      const victim = random.chance(0.5) ? client : server;
      victim.failAfter(kind, Math.floor(2 ** random.between(0, faultWithinLog2Bytes)));
    }
  }
}
