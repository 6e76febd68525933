import { Meter } from "../meter.js";
import { serveRequests, takeMark, takeMemory } from "../serve.js";
import type { StreamAnswers, StreamMemory, StreamRequest } from "./protocol.js";
import { type HeldStreams, loadStreamTarget, type StreamTargetName } from "./target.js";

/** The measured process: `worker.js TARGET provider` or `worker.js TARGET caller ENDPOINT`. */

type Handle = (request: StreamRequest) => Promise<StreamAnswers[keyof StreamAnswers]>;

const refuse = ({ kind }: StreamRequest): never => {
  throw new Error(`cannot ${kind} here`);
};

async function memory(): Promise<StreamMemory> {
  const { rssBytes, heapUsedBytes } = await takeMemory();
  return { rssBytes, heapBytes: heapUsedBytes, externalBytes: process.memoryUsage().external };
}

async function providerRole(name: StreamTargetName): Promise<{ endpoint: string; handle: Handle }> {
  const provider = await (await loadStreamTarget(name)).startProvider();
  const handle: Handle = async (request) => {
    if (request.kind === "mark") return takeMark(provider.received(request.payloadBytes));
    if (request.kind === "memory") return memory();
    if (request.kind !== "close") return refuse(request);
    await provider.close();
    return null;
  };
  return { endpoint: provider.endpoint, handle };
}

async function hold(request: StreamRequest, held: HeldStreams | undefined): Promise<null> {
  if (held === undefined) return refuse(request);
  if (request.kind === "idle") await held.openIdle(request.stream, request.count);
  if (request.kind === "stall") await held.stall(request.payloadBytes);
  return null;
}

async function callerRole(
  name: StreamTargetName,
  endpoint: string,
): Promise<{ endpoint: string; handle: Handle }> {
  const caller = await (await loadStreamTarget(name)).startCaller(endpoint);
  let meter = new Meter();
  let driving = Promise.resolve();
  const handle: Handle = async (request) => {
    switch (request.kind) {
      case "start":
        meter = new Meter();
        driving = caller.drive(meter, request.load);
        // A failure is told by `stop`; until then it must not end the process.
        driving.catch(() => {});
        return null;
      case "mark":
        return takeMark(meter.completed);
      case "stop":
        meter.running = false;
        await driving;
        return null;
      case "idle":
      case "stall":
        return hold(request, caller.held);
      case "memory":
        return memory();
      case "close":
        await caller.close();
        return null;
    }
  };
  return { endpoint, handle };
}

const [name = "", role = "", endpoint = ""] = process.argv.slice(2);
const target = name as StreamTargetName;
const worker = await (role === "provider" ? providerRole(target) : callerRole(target, endpoint));
serveRequests(worker.endpoint, worker.handle);
