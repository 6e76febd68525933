import { existsSync, readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Memory, type Sample, type Spec, tell } from "./protocol.js";

/** What a process is asked for at each sample, besides what can be seen of it from within. */
export interface Facts {
  inFlight: number;
  connections: number;
  unservedMs: number;
}

/** How often the histogram of the loop's delay is fed. It counts from the last time, so that this much is never delay. */
const loopResolutionMs = 10;

function memoryNow(): Memory {
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  return { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external, arrayBuffersBytes: arrayBuffers };
}

const descriptorFolder = "/proc/self/fd";

/** Looks at its own process once a second, and tells the parent. */
export class Monitor {
  readonly #loop = monitorEventLoopDelay({ resolution: loopResolutionMs });
  readonly #gcEveryMs: number;
  readonly #facts: () => Facts;
  #ended: Record<string, number> = {};
  #texts: Record<string, string> = {};
  #served = 0;
  #gcAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor({ gcEveryMs }: Spec, facts: () => Facts) {
    this.#gcEveryMs = gcEveryMs;
    this.#gcAtMs = performance.now() + gcEveryMs;
    this.#facts = facts;
  }

  start(): void {
    this.#loop.enable();
    this.#timer = setInterval(() => tell({ type: "sample", sample: this.#take() }), 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#loop.disable();
    tell({ type: "sample", sample: this.#take() });
  }

  served(): void {
    this.#served++;
  }

  ended(kind: string, code: string, executed: string, text: string): void {
    const name = `${kind}|${code}|${executed}`;
    if (text !== "") this.#texts[name] ??= text;
    this.#ended[name] = (this.#ended[name] ?? 0) + 1;
  }

  #take(): Sample {
    const delayMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - loopResolutionMs);
    const { max } = this.#loop;
    const resources = process.getActiveResourcesInfo();
    const timers = resources.filter((name) => name === "Timeout" || name === "Immediate").length;
    const sample: Sample = {
      atMs: Date.now(),
      ...memoryNow(),
      afterGc: this.#collect(),
      handles: resources.length - timers,
      timers,
      descriptors: existsSync(descriptorFolder) ? readdirSync(descriptorFolder).length : 0,
      loopDelayMs: {
        p50: delayMs(this.#loop.percentile(50)),
        p99: delayMs(this.#loop.percentile(99)),
        max: delayMs(max),
      },
      served: this.#served,
      ended: this.#ended,
      texts: this.#texts,
      ...this.#facts(),
    };
    this.#loop.reset();
    this.#ended = {};
    this.#texts = {};
    this.#served = 0;
    return sample;
  }

  #collect(): Memory | undefined {
    const nowMs = performance.now();
    if (nowMs < this.#gcAtMs) return undefined;
    this.#gcAtMs = nowMs + this.#gcEveryMs;
    if (globalThis.gc === undefined) throw new Error("the processes of the soak run with --expose-gc");
    globalThis.gc();
    return memoryNow();
  }
}

/** Whatever must never happen in a process is told to the parent. The process dies with its parent. */
export function watchOver(): void {
  const fault = (what: string) => (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    tell({ type: "fault", text: `${what}: ${text}` });
  };
  process.on("unhandledRejection", fault("unhandled rejection"));
  process.on("uncaughtException", fault("uncaught exception"));
  process.on("warning", (warning) => {
    // The loader's, about itself; ours would name no such thing.
    if (warning.name !== "ExperimentalWarning") fault("warning")(warning);
  });
  process.on("disconnect", dieAlone);
}

function dieAlone(): void {
  process.exit(1);
}

/** The end of a process that was asked to stop: from here on it ends when nothing holds it any more. */
export function leave(): void {
  process.off("disconnect", dieAlone);
  process.disconnect();
}
