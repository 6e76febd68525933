import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { classicDialects } from "../../src/protocol/classic/classic-wire.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService } from "../support/gen/probe.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import type { ClientReport } from "./client-process.js";
import { withoutDetails } from "./counting-log.js";
import { FuzzFailure } from "./evil-peer.js";
import { type Animal, ZooService, ZooServiceStub } from "./gen/zoo.js";
import { EvilSlot, type LaneName, laneNames, named, playCaller } from "./lanes.js";
import type { ProviderStats } from "./provider-process.js";
import { type Recorded, record } from "./recorded.js";
import { animalOf, createZoo } from "./zoo.js";

export interface FuzzOptions {
  /** Mutated frames in all. */
  frames: number;
  seed: number;
  /** Ends earlier, when so much time has passed. */
  untilMs: number;
  /** One case alone. */
  only?: { lane: LaneName; index: number };
  onProgress?: (report: FuzzReport) => void;
}

export interface FuzzReport {
  /** Mutated frames that were read, by lane. */
  frames: Record<LaneName, number>;
  cases: Record<LaneName, number>;
  /** Calls of honest peers, all of them answered rightly. */
  honestCalls: number;
  elapsedMs: number;
  providerRssBytes: number;
  clientRssBytes: number;
  /** Why the provider refused what it refused, and how calls of the attacked callers ended, with how often. */
  provider: Record<string, number>;
  callers: Map<string, number>;
}

/** How the frames are shared out. */
const share: Record<LaneName, number> = {
  "caller-mprpc": 0.45,
  "caller-classic": 0.08,
  "provider-mprpc": 0.42,
  "provider-classic": 0.05,
};
const callersAtATime: Record<"caller-mprpc" | "caller-classic", number> = {
  "caller-mprpc": 6,
  "caller-classic": 3,
};
const mprpcSlots = 6;
/** A process that grows beyond it has a leak: what is mutated here needs a tenth. */
const rssMaxBytes = 700 * 1024 * 1024;
const nodeOptions = ["--max-old-space-size=400", "--expose-gc"];

const scriptOf = (name: string): string => compiled(new URL(name, import.meta.url));
const none = (): Record<LaneName, number> => ({
  "caller-mprpc": 0,
  "caller-classic": 0,
  "provider-mprpc": 0,
  "provider-classic": 0,
});

/** Attacks a provider and callers, each in a process of its own, and calls them honestly all the while. */
export class Fuzzer implements AsyncDisposable {
  readonly #options: FuzzOptions;
  readonly #recorded: Recorded;
  readonly #provider: Child;
  readonly #providerPort: number;
  readonly #zoo: ZooServiceStub;
  readonly #closers: Array<() => Promise<unknown>> = [];
  readonly #nextCase = none();
  readonly report: FuzzReport = {
    frames: none(),
    cases: none(),
    honestCalls: 0,
    elapsedMs: 0,
    providerRssBytes: 0,
    clientRssBytes: 0,
    provider: {},
    callers: new Map(),
  };
  #stopped = false;
  #failure: Error | undefined;

  private constructor(options: FuzzOptions, recorded: Recorded, provider: Child, port: number) {
    this.#options = options;
    this.#recorded = recorded;
    this.#provider = provider;
    this.#providerPort = port;
    const registry = new StaticRegistry(`static://127.0.0.1:${port}`);
    const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
    const channel = new RpcChannel(runtime, { timeoutMs: 20_000 });
    this.#zoo = new ZooServiceStub(channel);
    this.#closers.push(
      () => channel.close(),
      () => runtime.close(),
      () => provider.kill(),
    );
  }

  static async start(options: FuzzOptions): Promise<Fuzzer> {
    const recorded = await record();
    const provider = new Child(process.execPath, [...nodeOptions, scriptOf("provider-process.ts")]);
    const port = Number((await provider.line(/^listening /)).split(" ")[1]);
    return new Fuzzer(options, recorded, provider, port);
  }

  /** Resolves when all is done and everything the attacks took has come back; rejects with what must not happen. */
  async run(): Promise<FuzzReport> {
    const { only } = this.#options;
    const lanes = only === undefined ? laneNames : [only.lane];
    const startMs = performance.now();
    const stopping = setTimeout(() => this.#stop(), Math.min(this.#options.untilMs, 2 ** 31 - 1));
    const honest = [this.#callHonestly(), this.#watch(startMs)];
    try {
      await Promise.all([
        ...lanes.flatMap((lane) => this.#attacksOf(lane)),
        this.#attackCallers(lanes.filter((lane) => lane.startsWith("provider"))),
      ]);
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      clearTimeout(stopping);
      this.#stop();
    }
    await Promise.all(honest);
    if (this.#failure === undefined) await this.#checkEnd();
    this.report.elapsedMs = performance.now() - startMs;
    if (this.#failure !== undefined) throw this.#failure;
    return this.report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    for (const close of this.#closers.splice(0)) await close();
  }

  #stop(): void {
    this.#stopped = true;
  }

  #fail(error: Error): void {
    const { output } = this.#provider;
    if (this.#provider.process.exitCode !== null)
      error.message += `\nthe provider ended: ${output.slice(-4000)}`;
    this.#failure ??= error;
    this.#stop();
  }

  /** Number of the next case of a lane; undefined when there are enough. */
  #next(lane: LaneName): number | undefined {
    const { frames, only } = this.#options;
    if (this.#stopped) return undefined;
    if (only !== undefined) return this.#nextCase[lane]++ === 0 ? only.index : undefined;
    if (this.report.frames[lane] >= frames * share[lane]) return undefined;
    return this.#nextCase[lane]++;
  }

  #done(lane: LaneName, frames: number): void {
    this.report.frames[lane] += frames;
    this.report.cases[lane]++;
  }

  // --- evil callers ---

  #attacksOf(lane: LaneName): Promise<void>[] {
    if (lane !== "caller-mprpc" && lane !== "caller-classic") return [];
    return Array.from({ length: callersAtATime[lane] }, () => this.#attackProvider(lane));
  }

  async #attackProvider(lane: "caller-mprpc" | "caller-classic"): Promise<void> {
    const { seed } = this.#options;
    for (let index = this.#next(lane); index !== undefined; index = this.#next(lane)) {
      const played = playCaller(this.#recorded, this.#providerPort, lane, seed, index);
      this.#done(lane, await named(lane, seed, index, played));
    }
  }

  // --- evil providers ---

  /** Starts the process of callers and gives each of its slots one case after the other. */
  async #attackCallers(lanes: readonly LaneName[]): Promise<void> {
    if (lanes.length === 0) return;
    const slots: EvilSlot[] = [];
    if (lanes.includes("provider-mprpc")) {
      const many = this.#options.only === undefined ? mprpcSlots : 1;
      for (let i = 0; i < many; i++) slots.push(await EvilSlot.open(this.#recorded, undefined));
    }
    // A case of the classic lane has the dialect of its number, so that it can be played again.
    if (lanes.includes("provider-classic")) {
      for (const dialect of classicDialects) slots.push(await EvilSlot.open(this.#recorded, dialect));
    }
    const { port, close } = await this.#serveCallers(slots);
    const args = [
      ...nodeOptions,
      scriptOf("client-process.ts"),
      String(port),
      ...slots.map((one) => one.argument),
    ];
    const child = new Child(process.execPath, args);
    this.#closers.unshift(
      () => child.kill(),
      close,
      async () => {
        for (const slot of slots) slot.close();
      },
    );
    const exit = new Promise<void>((resolve, reject) => {
      child.process.once("exit", (code) => {
        if (code === 0) resolve();
        else
          reject(new FuzzFailure(`the process of callers ended with ${code}: ${child.output.slice(-4000)}`));
      });
    });
    const failed = new Promise<void>((resolve) => {
      this.#tellFailed = resolve;
    });
    await Promise.race([exit, failed]);
  }

  #tellFailed = (): void => {};

  /** The honest provider of the attacked callers, which also tells them what to do. */
  async #serveCallers(slots: readonly EvilSlot[]): Promise<{ port: number; close: () => Promise<void> }> {
    const runtime = createRuntime({ transport: tcpTransport(systemClock) });
    const provider = new RpcProvider(runtime);
    const next = (said: string): Promise<string> =>
      this.#nextOfSlot(slots, JSON.parse(said)).catch((error: Error) => {
        this.#fail(error);
        this.#tellFailed();
        return "";
      });
    provider.notifyService(ZooService, createZoo({ next }).handlers, { classic: false });
    provider.notifyService(ProbeService, {
      echo: (request) => {
        this.report.honestCalls++;
        return request;
      },
      relay: (request) => request,
      note: (request) => request,
    });
    const { port } = await provider.start();
    return { port, close: () => provider.shutdown().then(() => runtime.close()) };
  }

  readonly #slotCases = new Map<number, number>();

  async #nextOfSlot(slots: readonly EvilSlot[], report: ClientReport): Promise<string> {
    const slot = slots[report.slot];
    if (slot === undefined) throw new FuzzFailure(`there is no slot ${report.slot}`);
    const { seed } = this.#options;
    this.#checkRss("the process of callers", report.rssBytes);
    this.report.clientRssBytes = Math.max(this.report.clientRssBytes, report.rssBytes);
    const last = this.#slotCases.get(report.slot);
    if (last !== undefined) {
      this.#done(slot.lane, await named(slot.lane, seed, last, slot.end(report)));
      for (const outcome of report.outcomes ?? []) {
        const key = withoutDetails(outcome);
        this.report.callers.set(key, (this.report.callers.get(key) ?? 0) + 1);
      }
    }
    const index = this.#next(slot.lane);
    if (index === undefined) return "";
    this.#slotCases.set(report.slot, index);
    return JSON.stringify(slot.begin(seed, index));
  }

  // --- honest peers, and what the processes take ---

  async #callHonestly(): Promise<void> {
    const want = animalOf(5, 1);
    try {
      for (let i = 0; !this.#stopped; i++) {
        const got = await this.#zoo.echo({ ...want, legs: i });
        this.report.honestCalls++;
        if (!sameAnimal(got, i)) throw new FuzzFailure(`an honest caller got ${JSON.stringify(got.name)}`);
        await this.#streamHonestly(i % 7);
        // Let the attackers have their turn.
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    } catch (error) {
      this.#fail(new FuzzFailure(`an honest caller: ${String(error)}`));
    }
  }

  /** One stream of both directions: all of it comes back, in order. */
  async #streamHonestly(many: number): Promise<void> {
    const got: number[] = [];
    const animals = Array.from({ length: many }, (_, legs) => ({ legs }));
    for await (const { legs } of this.#zoo.parade(animals, { timeoutMs: 20_000 })) got.push(legs);
    this.report.honestCalls++;
    const want = animals.map(({ legs }) => legs);
    if (got.join() !== want.join())
      throw new FuzzFailure(`an honest stream got ${got.join()} of ${want.join()}`);
  }

  async #watch(startMs: number): Promise<void> {
    try {
      while (!this.#stopped) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const stats = await this.#stats();
        this.#checkRss("the provider", stats.rssBytes);
        this.report.providerRssBytes = Math.max(this.report.providerRssBytes, stats.rssBytes);
        this.report.elapsedMs = performance.now() - startMs;
        this.report.provider = stats.refused;
        this.#options.onProgress?.(this.report);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async #stats(): Promise<ProviderStats> {
    return JSON.parse((await this.#zoo.stats({})).name);
  }

  #checkRss(who: string, rssBytes: number): void {
    if (rssBytes > rssMaxBytes) throw new FuzzFailure(`${who} takes ${rssBytes >> 20} MiB`);
  }

  /** All that evil peers held is free again. */
  async #checkEnd(): Promise<void> {
    await this.#zoo.release({});
    for (let tries = 0; ; tries++) {
      const { connections, inFlight, toiling, refused } = await this.#stats();
      this.report.provider = refused;
      // The one connection is this one's, the call in flight is Stats.
      if (connections === 1 && inFlight === 1 && toiling === 0) return;
      if (tries >= 100) {
        this.#fail(
          new FuzzFailure(`left behind: ${connections} connections, ${inFlight} calls, ${toiling} handlers`),
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function sameAnimal(got: Animal, legs: number): boolean {
  const want = animalOf(5, 1);
  return (
    got.legs === legs &&
    got.name === want.name &&
    got.chip === want.chip &&
    got.litter[0]?.name === animalOf(6, 0).name
  );
}
