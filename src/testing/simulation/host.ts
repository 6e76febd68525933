import { setMaxListeners } from "node:events";
import { DeadlineWheel } from "../../base/deadlines.js";
import { createCallEmitter } from "../../call/events.js";
import { internals, runtimeOf } from "../../runtime/app.js";
import type { Runtime } from "../../runtime/runtime.js";
import { mergeSettings, type SettingsInit } from "../runtime.js";
import type { Machine } from "./machine.js";
import type { SimulatedNetwork } from "./network.js";
import { ProcessClock, ProcessLife, type SimulatedApp, traceLogger } from "./process.js";
import { SeededRandom } from "./random.js";
import { SimulatedRegistry } from "./registry.js";
import type { RegistryServer } from "./registry-server.js";
import type { Scheduler } from "./scheduler.js";

type Disposables = AsyncDisposable | readonly AsyncDisposable[];

/**
 * A program of a host, called anew at every start. What it returns (a provider, a channel, or a list of them) is
 * disposed of in reverse order when the host is stopped.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a program need not return anything.
export type HostProgram = (app: SimulatedApp) => Disposables | void | Promise<Disposables | void>;

export interface HostOptions {
  /** Settings of its channels and providers, over the defaults; by default providers listen on the host's address. */
  settings?: SettingsInit | undefined;
  /**
   * Who it proves to be on the connections it makes, `secret:orders`, which are then confidential as well: what policies of providers go
   * by. Default: nobody.
   */
  identity?: string | undefined;
}

export interface HostParts {
  readonly seed: number;
  readonly machine: Machine;
  readonly network: SimulatedNetwork;
  readonly registry: { readonly server: RegistryServer; readonly machine: Machine };
  readonly scheduler: Scheduler;
  readonly program: HostProgram;
  readonly options: HostOptions;
  note(text: string): void;
  onFailure(error: unknown): void;
}

/** A timer that looks for deadlines now and then may be set after the last call, for less than this, ms. */
const endsByItselfMs = 100;

interface Life {
  readonly app: SimulatedApp;
  readonly process: ProcessLife;
  readonly clock: ProcessClock;
  readonly disposables: Promise<AsyncDisposable[]>;
}

/** A host of a simulation: an address, and a program that runs there until it is stopped or crashes. */
export class SimulatedHost {
  readonly name: string;
  /** Its address in the network. */
  readonly address: string;
  readonly #parts: HostParts;
  #life: Life | undefined;
  #lives = 0;
  #stopping: Promise<void> | undefined;
  #leftovers: string[] = [];

  /** @internal */
  constructor(parts: HostParts) {
    this.#parts = parts;
    this.name = parts.machine.name;
    this.address = parts.machine.ip;
    parts.machine.identity = parts.options.identity;
    this.start();
  }

  /** What its program stands on; channels of a test are made with it. Throws while the host is down. */
  get app(): SimulatedApp {
    if (this.#life === undefined) throw new Error(`host ${this.name} is down`);
    return this.#life.app;
  }

  get up(): boolean {
    return this.#life !== undefined;
  }

  /** Resolves when the program has started, as far as what it returned tells. Never, when it crashes before. */
  get ready(): Promise<void> {
    return this.#life === undefined
      ? Promise.reject(new Error(`host ${this.name} is down`))
      : this.#life.disposables.then(() => {});
  }

  /** Starts the program again after a crash or a stop. Does nothing while the host is up. */
  start(): void {
    if (this.#life !== undefined) return;
    const { scheduler, machine, program, onFailure } = this.#parts;
    const process = new ProcessLife(scheduler);
    machine.setProcess(process);
    this.#lives++;
    this.#parts.note(`${this.name} starts`);
    const { app, clock } = this.#makeApp(process);
    const disposables = new Promise<AsyncDisposable[]>((resolve) => {
      const onStart = async (): Promise<void> => {
        try {
          resolve(listOf(await program(app)));
        } catch (error) {
          const cause = error instanceof Error ? error.message : String(error);
          if (process.alive)
            onFailure(new Error(`host ${this.name} did not start: ${cause}`, { cause: error }));
        }
      };
      scheduler.after(0, () => process.enter(() => void onStart()));
    });
    this.#life = { app, process, clock, disposables };
  }

  #makeApp(process: ProcessLife): { app: SimulatedApp; clock: ProcessClock } {
    const { seed, scheduler, machine, network, registry, options, note } = this.#parts;
    const random = SeededRandom.of(seed, `host ${this.name} ${this.#lives}`);
    // Monotonic clocks of two processes have nothing to do with each other.
    const clock = new ProcessClock(scheduler, process, random.integer(1, 1_000_000));
    const log = traceLogger((text) => note(`${this.name} log ${text}`));
    const draw = (): number => random.next();
    const transport = network.transport(machine, {
      gate: process,
      setTimer: (callback, delayMs) => clock.setTimer(callback, delayMs),
    });
    const session = new SimulatedRegistry({
      ...{ server: registry.server, owner: this.name, gate: process, clock, log, random: draw },
      address: { host: registry.machine.ip, port: 2181 },
      toServer: network.path(this.name, registry.machine.name),
      toClient: network.path(registry.machine.name, this.name),
    });
    const closing = new AbortController();
    // Each channel listens.
    setMaxListeners(Infinity, closing.signal);
    const listen = { host: machine.ip, port: 0 };
    const settings = mergeSettings(options.settings ?? {});
    const runtime: Runtime = {
      ...{ clock, log, random: draw, transport, registry: session },
      events: createCallEmitter(log),
      wheel: new DeadlineWheel(clock),
      settings: { ...settings, provider: { ...settings.provider, ...listenOf(options, listen) } },
      // The process of the simulation is not this one.
      signals: undefined,
      local: undefined,
      closed: closing.signal,
      close() {
        closing.abort();
        return session.close();
      },
    };
    const app: SimulatedApp = {
      ...runtime,
      [internals]: runtime,
      ...{ host: this.name, address: machine.ip },
      parts: {
        ...{ clock, log, random: draw, transport, registry: session },
        env: { MPRPC_RPCSERVERIP: machine.ip },
      },
      sleep: (ms) => new Promise((resolve) => void clock.setTimer(resolve, ms)),
    };
    return { app, clock };
  }

  /**
   * Ends the process as `kill -9` does: it does nothing any more, its peers' connections are reset or ended, and what
   * it registered stays until its session expires. What the program keeps outside itself is kept: that is its disk.
   */
  crash(): void {
    if (this.#life === undefined) return;
    this.#parts.note(`${this.name} crashes`);
    this.#end(this.#life);
  }

  /** `crash()` and, after `downMs` (default 0), `start()`. */
  restart(downMs = 0): void {
    this.crash();
    this.#parts.scheduler.after(downMs, () => this.start());
  }

  /** Ends the program well: disposes of what it returned, closes the app, and takes the host down. Idempotent. */
  stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return Promise.resolve();
    this.#stopping ??= this.#stop(life).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stop(life: Life): Promise<void> {
    this.#parts.note(`${this.name} stops`);
    const disposables = await life.disposables;
    for (const one of disposables.toReversed()) await one[Symbol.asyncDispose]();
    await life.app.close();
    await life.app.sleep(endsByItselfMs);
    if (this.#life !== life) return;
    this.#leftovers.push(...this.#leftoversOf(life));
    this.#parts.note(`${this.name} has stopped`);
    this.#end(life);
  }

  #end(life: Life): void {
    this.#life = undefined;
    this.#stopping = undefined;
    life.process.end();
    this.#parts.machine.setProcess(undefined);
  }

  /** The process stands still, as one that is busy or stopped (SIGSTOP): its system goes on to take bytes in. */
  pause(): void {
    this.#parts.note(`${this.name} pauses`);
    this.#life?.process.pause();
  }

  resume(): void {
    if (this.#life?.process.paused !== true) return;
    this.#parts.note(`${this.name} resumes`);
    this.#life.process.resume();
  }

  /** How fast it reads what it is sent, bytes a millisecond; `Infinity`, as at first: at once. */
  set readBytesPerMs(value: number) {
    if (!(value > 0)) throw new RangeError(`readBytesPerMs: expected a number above 0, got ${value}`);
    this.#parts.machine.readBytesPerMs = value;
  }

  get readBytesPerMs(): number {
    return this.#parts.machine.readBytesPerMs;
  }

  /** While true, connects to this host are refused, though its program listens. */
  set refusesConnections(value: boolean) {
    this.#parts.machine.refuses = value;
  }

  get refusesConnections(): boolean {
    return this.#parts.machine.refuses;
  }

  /** Timers, connections, listeners and calls that were still there after a stop; empty when it went well. */
  get leftovers(): readonly string[] {
    return this.#leftovers;
  }

  #leftoversOf({ clock, app }: Life): string[] {
    const { connections, listeners } = this.#parts.machine;
    const counts = {
      timers: clock.timers,
      connections: connections.size,
      listeners: listeners.size,
      calls: runtimeOf("a simulated host", app).wheel.size,
    };
    return Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([what, count]) => `${count} ${what} of ${this.name} after its stop`);
  }
}

function listOf(disposables: Awaited<ReturnType<HostProgram>>): AsyncDisposable[] {
  if (disposables === undefined) return [];
  return Symbol.asyncDispose in disposables ? [disposables] : [...disposables];
}

/** The host's own address, unless the settings say otherwise. */
function listenOf(options: HostOptions, listen: { host: string; port: number }): { listen: typeof listen } {
  return { listen: options.settings?.provider?.listen ?? listen };
}
