import { setImmediate } from "node:timers/promises";
import type { Memory } from "./protocol.js";

/** A few rounds, as freeing one thing lets go of another. Needs `--expose-gc`. */
export async function takeMemory(): Promise<Memory> {
  for (let round = 0; round < 5; round++) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, externalBytes: external, rssBytes: rss };
}

export async function timed<T extends object>(step: () => Promise<T>): Promise<T & { elapsedMs: number }> {
  const startMs = performance.now();
  return { ...(await step()), elapsedMs: performance.now() - startMs };
}
