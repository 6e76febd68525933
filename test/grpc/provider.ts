import { onTestFinished } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime, MemoryStore, memoryRegistry, type SettingsInit } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { RecordingLog } from "../support/log.js";
import { InteropService, type InteropServiceHandler } from "./gen/interop.js";
import { interopHandlers } from "./interop-handlers.js";

/** A runtime over real sockets. */
export function tcpRuntime(settings: SettingsInit = {}, staticUrl?: string): TestApp {
  const registry =
    staticUrl === undefined
      ? memoryRegistry({ store: new MemoryStore(), clock: systemClock, random: Math.random })
      : new StaticRegistry(staticUrl);
  const runtime = createRuntime({
    clock: systemClock,
    transport: tcpTransport(systemClock),
    registry,
    log: new RecordingLog(),
    settings: { ...settings, provider: { drainTimeoutMs: 100, ...settings.provider } },
  });
  onTestFinished(() => runtime.close());
  return runtime;
}

/** A provider of the interop service on a free port of this machine, for as long as the test runs. */
export async function interopProvider(
  handlers: Partial<InteropServiceHandler> = {},
  settings: SettingsInit = {},
): Promise<{ target: string; port: number; provider: RpcProvider; app: TestApp }> {
  const app = tcpRuntime(settings);
  const provider = new RpcProvider(app).notifyService(InteropService, { ...interopHandlers, ...handlers });
  onTestFinished(() => provider.shutdown());
  const { port } = await provider.start();
  return { target: `127.0.0.1:${port}`, port, provider, app };
}

/** A channel of ours to a gRPC server at a port of this machine. */
export function grpcChannel(port: number, settings: SettingsInit = {}, query = ""): RpcChannel {
  const app = tcpRuntime(settings, `static://grpc://127.0.0.1:${port}${query}`);
  const channel = new RpcChannel(app);
  onTestFinished(() => channel.close());
  return channel;
}
