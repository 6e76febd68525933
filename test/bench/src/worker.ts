import { setImmediate } from "node:timers/promises";
import { Meter } from "./meter.js";
import type { Answer, Answers, Latencies, Mark, Ready, Request } from "./protocol.js";
import { type Load, loadTarget, type TargetName } from "./target.js";

/** The measured process: `worker.js TARGET provider` or `worker.js TARGET caller ENDPOINT`. */

function takeMark(calls: number): Mark {
  const { user, system } = process.cpuUsage();
  return { timeMs: performance.now(), cpuUs: user + system, calls, rssBytes: process.memoryUsage.rss() };
}

/** Memory with the garbage gone. A few rounds, as freeing one thing lets go of another. */
async function takeMemory(): Promise<{ rssBytes: number }> {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await setImmediate();
  }
  return { rssBytes: process.memoryUsage.rss() };
}

type Handle = (request: Request) => Promise<Answers[keyof Answers]>;

const refuse = (request: Request): never => {
  throw new Error(`cannot ${request.kind} here`);
};

async function providerRole(target: TargetName): Promise<{ endpoint: string; handle: Handle }> {
  const provider = await (await loadTarget(target)).startProvider();
  const handle: Handle = async (request) => {
    if (request.kind === "mark") return takeMark(provider.served(request.payloadBytes));
    if (request.kind === "memory") return takeMemory();
    if (request.kind !== "close") return refuse(request);
    await provider.close();
    return null;
  };
  return { endpoint: provider.endpoint, handle };
}

async function callerRole(
  target: TargetName,
  endpoint: string,
): Promise<{ endpoint: string; handle: Handle }> {
  const caller = await (await loadTarget(target)).startCaller(endpoint);
  let meter = new Meter();
  let startedMs = 0;
  let driving = Promise.resolve();
  const start = (load: Load) => {
    meter = new Meter();
    startedMs = performance.now();
    driving = caller.drive(meter, load);
    // A failure is told by `stop`; until then it must not end the process.
    driving.catch(() => {});
  };
  const stop = async (): Promise<Latencies> => {
    meter.running = false;
    await driving;
    const [p50Us = Number.NaN, p99Us = Number.NaN] = meter.quantilesUs([0.5, 0.99]);
    return { p50Us, p99Us };
  };
  const mark = (edge: "start" | "end"): Mark => {
    const taken = takeMark(meter.completed);
    if (edge === "start") meter.startWindow((meter.completed * 1000) / (taken.timeMs - startedMs));
    else meter.endWindow();
    return taken;
  };
  const handle: Handle = async (request) => {
    switch (request.kind) {
      case "start":
        start(request.load);
        return null;
      case "mark":
        return mark(request.edge);
      case "stop":
        return stop();
      case "idle":
        await caller.openIdle(request.connections);
        return null;
      case "memory":
        return takeMemory();
      case "close":
        await caller.close();
        return null;
    }
  };
  return { endpoint, handle };
}

async function main(target: TargetName, role: string, endpoint: string): Promise<void> {
  const worker = await (role === "provider" ? providerRole(target) : callerRole(target, endpoint));
  const send = (message: Answer | Ready, sent = () => {}) => process.send?.(message, sent);
  process.on("message", (request: Request) => {
    worker.handle(request).then(
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
  send({ ready: true, endpoint: worker.endpoint });
}

const [target, role = "", endpoint = ""] = process.argv.slice(2);
await main(target as TargetName, role, endpoint);
