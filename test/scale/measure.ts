import { Child, findProgramsBy } from "../bench/src/child.js";
import { compiled } from "../tools/compiled.js";
import type {
  CallersAnswers,
  CallersRequest,
  Memory,
  ProviderAnswers,
  ProviderCounts,
  ProviderRequest,
  Settled,
} from "./protocol.js";
import { wideFlags } from "./setting.js";

findProgramsBy((program) => compiled(new URL(`../bench/src/${program}.ts`, import.meta.url)));

type ProviderProcess = Child<ProviderRequest, ProviderAnswers>;
type CallersProcess = Child<CallersRequest, CallersAnswers>;

/** What each of many things takes, on both sides. */
export interface Sides {
  provider: Memory;
  caller: Memory;
}

export interface ConnectionsResult {
  connections: number;
  /** Of each connection, after its first call, and after `callsEach` more. */
  idle: Sides;
  used: Sides;
  answered: number;
  openedInMs: number;
  usedInMs: number;
  counts: ProviderCounts;
}

export interface InFlightResult {
  calls: number;
  connections: number;
  /** Of each call while all are in flight, and what is left of it when all have ended. */
  held: Sides;
  left: Sides;
  /** From the first call to the moment the provider held all of them. */
  heldInMs: number;
  counts: ProviderCounts;
  settled: Settled;
}

export interface ServicesResult {
  services: number;
  registeredInMs: number;
  /** One channel's first call of each service, all at the same time: looked up, connected, answered. */
  resolvedInMs: number;
  /** The same once more, when everything is known. */
  againInMs: number;
  withdrawnInMs: number;
  answered: number;
  /** Of each service. */
  each: Sides;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

function addUp(all: readonly Memory[]): Memory {
  return {
    heapBytes: sum(all.map(({ heapBytes }) => heapBytes)),
    externalBytes: sum(all.map(({ externalBytes }) => externalBytes)),
    rssBytes: sum(all.map(({ rssBytes }) => rssBytes)),
  };
}

function memoryEach(count: number, before: Memory, after: Memory): Memory {
  return {
    heapBytes: (after.heapBytes - before.heapBytes) / count,
    externalBytes: (after.externalBytes - before.externalBytes) / count,
    rssBytes: (after.rssBytes - before.rssBytes) / count,
  };
}

function sidesEach(count: number, before: Sides, after: Sides): Sides {
  return {
    provider: memoryEach(count, before.provider, after.provider),
    caller: memoryEach(count, before.caller, after.caller),
  };
}

/** A process that serves and one or more that call; one measurement after the other. */
export class ScaleRun {
  readonly #provider: ProviderProcess;
  readonly #callers: readonly CallersProcess[];

  private constructor(provider: ProviderProcess, callers: readonly CallersProcess[]) {
    this.#provider = provider;
    this.#callers = callers;
  }

  /** `processes` of callers: as many as the system's limit of open files in one asks for. */
  static async start(processes = 1): Promise<ScaleRun> {
    const program = (name: string) => ({ name, program: `../../scale/${name}-process`, args: [] });
    const starting = Array.from({ length: processes }, () =>
      Child.start<CallersRequest, CallersAnswers>(program("callers")),
    );
    const provider = await Child.start<ProviderRequest, ProviderAnswers>(program("provider"));
    return new ScaleRun(provider, await Promise.all(starting));
  }

  async kill(): Promise<void> {
    await Promise.all([this.#provider.killed(), ...this.#callers.map((one) => one.killed())]);
  }

  async #memory(): Promise<Sides> {
    const [provider, ...callers] = await Promise.all([
      this.#provider.ask({ kind: "memory" }),
      ...this.#callers.map((one) => one.ask({ kind: "memory" })),
    ]);
    return { provider, caller: addUp(callers) };
  }

  /** A provider of one service behind a static list, for the time of `run`. */
  async #withProvider<T>(run: () => Promise<T>): Promise<T> {
    const setting = { services: 1, flags: wideFlags };
    // A provider registers nothing in a static list.
    const serving = { ...setting, registry: "static://127.0.0.1:1" };
    const { port } = await this.#provider.ask({ kind: "serve", setting: serving });
    const calling = { ...setting, registry: `static://127.0.0.1:${port}` };
    await Promise.all(this.#callers.map((one) => one.ask({ kind: "begin", setting: calling })));
    const result = await run();
    await Promise.all(this.#callers.map((one) => one.ask({ kind: "end" })));
    await this.#provider.ask({ kind: "stop" });
    return result;
  }

  /** Over all processes of callers. */
  #open(count: number): Promise<Array<{ elapsedMs: number }>> {
    const { length } = this.#callers;
    return Promise.all(
      this.#callers.map((one, index) =>
        one.ask({ kind: "open", channels: Math.floor((count + index) / length) }),
      ),
    );
  }

  /** `size` connections, held and used. The first tenth is open before memory is looked at: it loads code and grows pools. */
  connections(size: number, callsEach: number): Promise<ConnectionsResult> {
    return this.#withProvider(async () => {
      const tenth = Math.ceil(size / 10);
      await this.#open(tenth);
      const before = await this.#memory();
      const opened = await this.#open(size - tenth);
      const idle = await this.#memory();
      const used = await Promise.all(this.#callers.map((one) => one.ask({ kind: "use", callsEach })));
      const after = await this.#memory();
      return {
        connections: size,
        idle: sidesEach(size - tenth, before, idle),
        used: sidesEach(size - tenth, before, after),
        answered: sum(used.map(({ answered }) => answered)),
        openedInMs: Math.max(...opened.map(({ elapsedMs }) => elapsedMs)),
        usedInMs: Math.max(...used.map(({ elapsedMs }) => elapsedMs)),
        counts: await this.#provider.ask({ kind: "counts" }),
      };
    });
  }

  /** `calls` calls at a time over `connections` connections of one process, all of them in handlers that wait. */
  inFlight(calls: number, connections: number): Promise<InFlightResult> {
    const [callers] = this.#callers;
    if (callers === undefined) throw new Error("no process of callers");
    const hold = async (count: number): Promise<number> => {
      const startMs = performance.now();
      await callers.ask({ kind: "hold", calls: count, channels: connections });
      await this.#provider.ask({ kind: "held", calls: count });
      return performance.now() - startMs;
    };
    const letGo = async (): Promise<Settled> => {
      await this.#provider.ask({ kind: "release" });
      return callers.ask({ kind: "settled" });
    };
    return this.#withProvider(async () => {
      await callers.ask({ kind: "open", channels: connections });
      // Loads code and grows tables, which is no cost of a call.
      await hold(Math.ceil(calls / 10));
      await letGo();
      const before = await this.#memory();
      const heldInMs = await hold(calls);
      const held = await this.#memory();
      const counts = await this.#provider.ask({ kind: "counts" });
      const settled = await letGo();
      return {
        ...{ calls, connections, heldInMs, settled, counts },
        held: sidesEach(calls, before, held),
        left: sidesEach(calls, before, await this.#memory()),
      };
    });
  }

  /** One provider of many services in a registry, and one channel that calls each of them. */
  async services(services: number, registry: string): Promise<ServicesResult> {
    const [callers] = this.#callers;
    if (callers === undefined) throw new Error("no process of callers");
    const setting = { registry, services, flags: [...wideFlags, "rpcserverip=127.0.0.1"] };
    const before = await this.#memory();
    const registered = await this.#provider.ask({ kind: "serve", setting });
    await callers.ask({ kind: "begin", setting });
    await callers.ask({ kind: "open", channels: 1 });
    const resolved = await callers.ask({ kind: "resolve" });
    const again = await callers.ask({ kind: "resolve" });
    const after = await this.#memory();
    await callers.ask({ kind: "end" });
    const withdrawn = await this.#provider.ask({ kind: "stop" });
    return {
      services,
      registeredInMs: registered.elapsedMs,
      resolvedInMs: resolved.elapsedMs,
      againInMs: again.elapsedMs,
      withdrawnInMs: withdrawn.elapsedMs,
      answered: resolved.answered + again.answered,
      each: sidesEach(services, before, after),
    };
  }
}
