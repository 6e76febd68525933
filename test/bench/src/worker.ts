import { Meter } from "./meter.js";
import { Pacer } from "./mixed/pacer.js";
import type { Answers, DriveResult, Mark, Request } from "./protocol.js";
import { serveRequests, takeMark, takeMemory } from "./serve.js";
import { type Load, loadTarget, type TargetSource } from "./target.js";

/** The measured process: `worker.js TARGET provider` or `worker.js TARGET caller ENDPOINT`, the target as JSON. */

type Handle = (request: Request) => Promise<Answers[keyof Answers]>;

const refuse = (request: Request): never => {
  throw new Error(`cannot ${request.kind} here`);
};

async function providerRole(target: TargetSource): Promise<{ endpoint: string; handle: Handle }> {
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
  target: TargetSource,
  endpoint: string,
): Promise<{ endpoint: string; handle: Handle }> {
  const caller = await (await loadTarget(target)).startCaller(endpoint);
  let meter = new Meter();
  let startedMs = 0;
  let driving = Promise.resolve();
  let pacer: Pacer | undefined;
  const start = (load: Load) => {
    meter = new Meter();
    startedMs = performance.now();
    pacer = load.besides === undefined ? undefined : new Pacer(caller, load.besides);
    driving = caller.drive(meter, load);
    // A failure is told by `stop`; until then it must not end the process.
    driving.catch(() => {});
  };
  const stop = async (): Promise<DriveResult> => {
    meter.running = false;
    await driving;
    const besides = await pacer?.stop();
    const [p50Us = Number.NaN, p99Us = Number.NaN] = meter.quantilesUs([0.5, 0.99]);
    return { p50Us, p99Us, made: meter.completed, ...(besides === undefined ? {} : { besides }) };
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

const [source = "", role = "", endpoint = ""] = process.argv.slice(2);
const target = JSON.parse(source) as TargetSource;
const worker = await (role === "provider" ? providerRole(target) : callerRole(target, endpoint));
serveRequests(worker.endpoint, worker.handle);
