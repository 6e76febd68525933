import { type MprpcApplication, RpcProvider } from "../../src/index.js";
import { serveRequests } from "../bench/src/serve.js";
import type { Blob } from "../support/gen/probe.js";
import { takeMemory, timed } from "./memory.js";
import type { ProviderAnswers, ProviderRequest } from "./protocol.js";
import { initNode, type ScaleSetting, serviceOf } from "./setting.js";

/** The serving process of a scale run. */

let served = 0;
const held: Array<() => void> = [];
let onHeld = (): void => {};

const handlers = {
  echo(request: Blob) {
    served++;
    return request;
  },
  async hold(request: Blob) {
    await new Promise<void>((resolve) => {
      held.push(resolve);
      onHeld();
    });
    served++;
    return request;
  },
};

let node: { app: MprpcApplication; provider: RpcProvider } | undefined;

async function serve(setting: ScaleSetting): Promise<{ port: number }> {
  const app = await initNode(setting);
  const provider = new RpcProvider(app);
  node = { app, provider };
  served = 0;
  for (let i = 0; i < setting.services; i++) provider.notifyService(serviceOf(i), handlers);
  const { port } = await provider.start();
  return { port };
}

async function stop(): Promise<object> {
  await node?.provider.shutdown();
  await node?.app.close();
  node = undefined;
  return {};
}

function whenHeld(calls: number): Promise<number> {
  return new Promise((resolve) => {
    onHeld = () => {
      if (held.length >= calls) resolve(held.length);
    };
    onHeld();
  });
}

serveRequests<ProviderRequest>("", async (asked): Promise<ProviderAnswers[keyof ProviderAnswers]> => {
  switch (asked.kind) {
    case "serve":
      return timed(() => serve(asked.setting));
    case "memory":
      return takeMemory();
    case "counts":
      return {
        connections: node?.provider.connections ?? 0,
        inFlight: node?.provider.inFlight ?? 0,
        served,
      };
    case "held":
      return whenHeld(asked.calls);
    case "release":
      for (const release of held.splice(0)) release();
      return null;
    case "stop":
      return timed(stop);
    case "close":
      await stop();
      return null;
  }
});
