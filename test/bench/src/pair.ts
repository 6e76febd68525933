import { setTimeout as wait } from "node:timers/promises";
import { Child } from "./child.js";
import { cppProgram } from "./cpp.js";
import type { Answers, Request } from "./protocol.js";
import type { Load, TargetSource } from "./target.js";
import { windowOf } from "./window.js";

/** What one window of calls showed. */
export interface Measurement {
  callsPerSecond: number;
  p50Us: number;
  p99Us: number;
  clientCpuUsPerCall: number;
  serverCpuUsPerCall: number;
  clientRssMib: number;
  serverRssMib: number;
}

/** All calls of a measurement, from the first to the last reply, as each side counted them: equal, or something is wrong. */
export interface Counts {
  made: number;
  served: number;
  besides?: { made: number; elapsedMs: number };
}

export interface Window {
  /** Calls before the window, for the optimising compiler and the sockets to settle. */
  warmMs: number;
  measureMs: number;
  /** With fewer calls than these the window goes on; see `windowOf`. Default 1. */
  callsMin?: number;
}

type Worker = Child<Request, Answers>;

/** A core each for provider and caller. */
const coreOf = { provider: 0, caller: 1 };

function startWorker(
  source: TargetSource,
  role: "provider" | "caller",
  endpoint: string,
  pin: boolean,
): Promise<Worker> {
  const args = [JSON.stringify(source), role, endpoint];
  const name = `${role} of ${typeof source === "string" ? source : JSON.stringify(source)}`;
  const core = pin ? coreOf[role] : undefined;
  if (source === "grpc-cpp") {
    return Child.start({ name, program: "", executable: cppProgram, args: [role, endpoint], core });
  }
  return Child.start({ name, program: "worker", args, core });
}

const mibBytes = 1024 * 1024;

/** The two processes of a measurement. */
export class Pair {
  readonly #provider: Worker;
  readonly #caller: Worker;

  private constructor(provider: Worker, caller: Worker) {
    this.#provider = provider;
    this.#caller = caller;
  }

  /** `pin`: give each process a core of its own. `caller`: of another target, which understands the endpoint. */
  static async start(source: TargetSource, pin: boolean, caller = source): Promise<Pair> {
    const provider = await startWorker(source, "provider", "", pin);
    try {
      return new Pair(provider, await startWorker(caller, "caller", provider.endpoint, pin));
    } catch (error) {
      provider.kill();
      throw error;
    }
  }

  async measure(load: Load, { warmMs, measureMs, callsMin }: Window): Promise<Measurement & Counts> {
    const { payloadBytes } = load;
    const servedNow = async () =>
      (await this.#provider.ask({ kind: "mark", edge: "start", payloadBytes })).calls;
    const servedBefore = await servedNow();
    const mark = (edge: "start" | "end") =>
      Promise.all([
        this.#caller.ask({ kind: "mark", edge, payloadBytes }),
        this.#provider.ask({ kind: "mark", edge, payloadBytes }),
      ]);
    await this.#caller.ask({ kind: "start", load });
    await wait(warmMs);
    const [clientStart, serverStart] = await mark("start");
    const [clientEnd, serverEnd] = await windowOf(
      measureMs,
      () => mark("end"),
      ([client, server]) => Math.min(client.calls - clientStart.calls, server.calls - serverStart.calls),
      callsMin,
    );
    const { made, ...latencies } = await this.#caller.ask({ kind: "stop" });
    // The echo counts bytes and divides; the difference of two such figures is whole but for what floating point loses.
    const served = Math.round((await servedNow()) - servedBefore);
    const calls = clientEnd.calls - clientStart.calls;
    return {
      callsPerSecond: (calls * 1000) / (clientEnd.timeMs - clientStart.timeMs),
      ...latencies,
      clientCpuUsPerCall: (clientEnd.cpuUs - clientStart.cpuUs) / calls,
      // By the provider's own count: its window is not to the millisecond the caller's.
      serverCpuUsPerCall: (serverEnd.cpuUs - serverStart.cpuUs) / (serverEnd.calls - serverStart.calls),
      clientRssMib: clientEnd.rssBytes / mibBytes,
      serverRssMib: serverEnd.rssBytes / mibBytes,
      made,
      served,
    };
  }

  /** What one idle connection adds to the provider's resident memory, KiB. */
  async idleKibPerConnection(connections: number): Promise<number> {
    // The first ones load code and grow pools, which is no cost of a connection.
    await this.#caller.ask({ kind: "idle", connections: Math.ceil(connections / 10) });
    const before = await this.#provider.ask({ kind: "memory" });
    await this.#caller.ask({ kind: "idle", connections });
    const after = await this.#provider.ask({ kind: "memory" });
    return (after.rssBytes - before.rssBytes) / 1024 / connections;
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#caller.ask({ kind: "close" }), this.#provider.ask({ kind: "close" })]);
    this.kill();
  }

  kill(): void {
    this.#caller.kill();
    this.#provider.kill();
  }
}
