import { setImmediate } from "node:timers/promises";
import type { Answer, Ready } from "./child.js";
import type { Mark } from "./protocol.js";

/**
 * The measured process's side of `Child`: says that it is ready, answers each request with what `handle` resolves to,
 * and goes when the one who asks is gone. After `close` it ends by itself.
 */
export function serveRequests<R extends { kind: string }>(
  endpoint: string,
  handle: (request: R) => Promise<unknown>,
): void {
  const send = (message: Answer | Ready, sent = () => {}) => process.send?.(message, sent);
  process.on("message", (request: R) => {
    handle(request).then(
      (value) => {
        const isLast = request.kind === "close";
        send({ ok: true, value }, () => isLast && process.disconnect());
      },
      (error: unknown) =>
        send({ ok: false, text: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  // The bench is gone: nobody would stop this process.
  process.on("disconnect", () => process.exit());
  send({ ready: true, endpoint });
}

/** With the garbage gone. A few rounds, as freeing one thing lets go of another. */
export async function takeMemory(): Promise<{ rssBytes: number; heapUsedBytes: number }> {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rssBytes: rss, heapUsedBytes: heapUsed };
}

export function takeMark(calls: number): Mark {
  const { user, system } = process.cpuUsage();
  return { timeMs: performance.now(), cpuUs: user + system, calls, rssBytes: process.memoryUsage.rss() };
}
