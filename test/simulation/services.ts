import { type CallContext, RpcChannel, RpcError, RpcProvider, Status } from "../../src/index.js";
import type { HostProgram, SimulatedApp } from "../../src/testing/index.js";
import { FlowService } from "../support/gen/flow.js";
import { type Blob, ProbeService, SideService, SideServiceStub } from "../support/gen/probe.js";
import { streamHandlers } from "./streams.js";
import { recorded, type World } from "./world.js";

/** `number` of a request tells its handler what to do: to fail at once, to fail by a bug, or to take so many ms. */
export const failsOnPurpose = -1;
export const failsByBug = -2;

/** A provider of both services. `relay` asks the other service, of whatever provider the channel picks. */
export function providerProgram(world: World): HostProgram {
  const { ledger, sabotage } = world;
  return async (host) => {
    const app = sabotage.providerApp?.(host) ?? host;
    ledger.join(host);
    const channel = new RpcChannel(app);
    const side = new SideServiceStub(channel);
    const serve = async (request: Blob, context: CallContext): Promise<Blob> => {
      ledger.run(host.host, request.text, request.data);
      context.replyMetadata.set("key", request.text);
      await behave(world, host, request.number, context.signal);
      return request;
    };
    const relay = async (request: Blob, context: CallContext): Promise<Blob> => {
      ledger.run(host.host, request.text, request.data);
      context.replyMetadata.set("key", request.text);
      const key = `${request.text}/nested`;
      const deadlineMs = world.sim.nowMs + context.timeLeftMs();
      const record = ledger.begin({ key, kind: "nested", caller: host, deadlineMs, body: request.data });
      const call = side.echo({ ...request, text: key });
      await recorded(ledger, record, call);
      await call;
      return request;
    };
    const provider = new RpcProvider(app, { interceptors: sabotage.serverInterceptors ?? [] })
      .notifyService(ProbeService, { echo: serve, relay, note: serve })
      .notifyService(SideService, { echo: serve })
      .notifyService(FlowService, streamHandlers(world, host));
    await provider.start();
    return [channel, nothingLeft(world, host, provider), provider];
  };
}

/** Disposed of after its provider: the provider's own books must be empty then. */
function nothingLeft(world: World, app: SimulatedApp, provider: RpcProvider): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      const { inFlight, connections } = provider;
      if (inFlight > 0) world.ledger.fault(`${app.host} has stopped with ${inFlight} calls in flight`);
      if (connections > 0) world.ledger.fault(`${app.host} has stopped with ${connections} connections`);
    },
  };
}

async function behave(world: World, app: SimulatedApp, what: number, signal: AbortSignal): Promise<void> {
  if (what === failsOnPurpose) throw new RpcError(Status.FAILED_PRECONDITION, "not today");
  if (what === failsByBug) throw new Error("a bug");
  if (what <= 0) return;
  // One that pays no heed to its signal goes on behind the back of its provider, which may have stopped by then.
  if (what % 2 === 0) await world.sim.sleep(what);
  else await untilAborted(app, what, signal);
}

/** Sleeps, and stops when the call is given up. */
function untilAborted(app: SimulatedApp, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = app.clock.setTimer(resolve, ms);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
