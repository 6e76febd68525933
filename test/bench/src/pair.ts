import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Answer, Answers, Ready, Request } from "./protocol.js";
import type { Load, TargetName } from "./target.js";

const workerFile = fileURLToPath(new URL("worker.js", import.meta.url));

/** A process that has not answered for so long will not. */
const answerMaxMs = 30_000;

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

export interface Window {
  /** Calls before the window, for the optimising compiler and the sockets to settle. */
  warmMs: number;
  measureMs: number;
}

/** The cores this process may use, as `/proc/self/status` lists them (`0-2,5`); empty where there is no such file. */
function allowedCores(): number[] {
  let status = "";
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return [];
  }
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** `taskset -c N` for each role, so that provider and caller have a core each; empty where that cannot be. */
function corePrefixes(): { provider: string[]; caller: string[] } {
  const [first, second] = allowedCores();
  const canPin = spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;
  if (first === undefined || second === undefined || !canPin) return { provider: [], caller: [] };
  return { provider: ["taskset", "-c", String(first)], caller: ["taskset", "-c", String(second)] };
}

/** One measured process, asked one thing at a time. */
class Worker {
  readonly endpoint: string;
  readonly #child: ChildProcess;
  readonly #name: string;

  private constructor(child: ChildProcess, name: string, endpoint: string) {
    this.#child = child;
    this.#name = name;
    this.endpoint = endpoint;
  }

  static async start(
    target: TargetName,
    role: "provider" | "caller",
    endpoint: string,
    pin: boolean,
  ): Promise<Worker> {
    const prefix = pin ? corePrefixes()[role] : [];
    const [command = process.execPath, ...args] = [
      ...prefix,
      process.execPath,
      "--expose-gc",
      workerFile,
      target,
      role,
      endpoint,
    ];
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const name = `${role} of ${target}`;
    const ready = (await nextMessage(child, name)) as Ready;
    return new Worker(child, name, ready.endpoint);
  }

  async ask<K extends Request["kind"]>(request: Request & { kind: K }): Promise<Answers[K]> {
    const answered = nextMessage(this.#child, this.#name);
    this.#child.send(request);
    const answer = (await answered) as Answer;
    if (!answer.ok) throw new Error(`${this.#name}: ${answer.text}`);
    return answer.value as Answers[K];
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function nextMessage(child: ChildProcess, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      child.off("message", onMessage).off("exit", onExit).off("error", onError);
    };
    const onMessage = (message: unknown) => {
      settle();
      resolve(message);
    };
    const onError = (error: Error) => {
      settle();
      reject(new Error(`${name}: ${error.message}`, { cause: error }));
    };
    const onExit = (code: number | null, signal: string | null) =>
      onError(new Error(`ended with ${signal ?? `exit code ${code}`}`));
    const timer = setTimeout(() => onError(new Error(`no answer within ${answerMaxMs} ms`)), answerMaxMs);
    child.on("message", onMessage).on("exit", onExit).on("error", onError);
  });
}

const mibBytes = 1024 * 1024;

/** The two processes of one target. */
export class Pair {
  readonly #provider: Worker;
  readonly #caller: Worker;

  private constructor(provider: Worker, caller: Worker) {
    this.#provider = provider;
    this.#caller = caller;
  }

  /** `pin`: give each process a core of its own. */
  static async start(target: TargetName, pin: boolean): Promise<Pair> {
    const provider = await Worker.start(target, "provider", "", pin);
    try {
      return new Pair(provider, await Worker.start(target, "caller", provider.endpoint, pin));
    } catch (error) {
      provider.kill();
      throw error;
    }
  }

  async measure(load: Load, { warmMs, measureMs }: Window): Promise<Measurement> {
    const { payloadBytes } = load;
    const mark = (edge: "start" | "end") =>
      Promise.all([
        this.#caller.ask({ kind: "mark", edge, payloadBytes }),
        this.#provider.ask({ kind: "mark", edge, payloadBytes }),
      ]);
    await this.#caller.ask({ kind: "start", load });
    await wait(warmMs);
    const [clientStart, serverStart] = await mark("start");
    await wait(measureMs);
    const [clientEnd, serverEnd] = await mark("end");
    const latencies = await this.#caller.ask({ kind: "stop" });
    const calls = clientEnd.calls - clientStart.calls;
    return {
      callsPerSecond: (calls * 1000) / (clientEnd.timeMs - clientStart.timeMs),
      ...latencies,
      clientCpuUsPerCall: (clientEnd.cpuUs - clientStart.cpuUs) / calls,
      // By the provider's own count: its window is not to the millisecond the caller's.
      serverCpuUsPerCall: (serverEnd.cpuUs - serverStart.cpuUs) / (serverEnd.calls - serverStart.calls),
      clientRssMib: clientEnd.rssBytes / mibBytes,
      serverRssMib: serverEnd.rssBytes / mibBytes,
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
