import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime, MemoryStore, memoryRegistry, type SettingsInit } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Transport } from "../../src/transport/transport.js";
import { RecordingLog } from "../support/log.js";
import { InteropService, type InteropServiceHandler } from "./gen/interop.js";
import { interopHandlers } from "./interop-handlers.js";

/** What a runtime of one process has of its own. Default: TCP in clear, and a log that nobody reads. */
export interface OwnParts {
  transport?: Transport;
  log?: RecordingLog;
  clock?: Clock;
}

/** A runtime over real sockets. */
export function tcpRuntime(
  settings: SettingsInit = {},
  staticUrl?: string,
  { clock = systemClock, transport = tcpTransport(clock), log = new RecordingLog() }: OwnParts = {},
): TestApp {
  const registry =
    staticUrl === undefined
      ? memoryRegistry({ store: new MemoryStore(), clock, random: Math.random })
      : new StaticRegistry(staticUrl);
  const runtime = createRuntime({
    clock,
    transport,
    registry,
    log,
    settings: { ...settings, provider: { drainTimeoutMs: 100, ...settings.provider } },
  });
  onTestFinished(() => runtime.close());
  return runtime;
}

/** A provider of the interop service on a free port of this machine, for as long as the test runs. */
export async function interopProvider(
  handlers: Partial<InteropServiceHandler> = {},
  settings: SettingsInit = {},
  parts: OwnParts = {},
): Promise<{ target: string; port: number; provider: RpcProvider; app: TestApp }> {
  const app = tcpRuntime(settings, undefined, parts);
  const provider = new RpcProvider(app).notifyService(InteropService, { ...interopHandlers, ...handlers });
  onTestFinished(() => provider.shutdown());
  const { port } = await provider.start();
  return { target: `127.0.0.1:${port}`, port, provider, app };
}

/** A channel of ours to a gRPC server at a port of this machine. */
export function grpcChannel(
  port: number,
  settings: SettingsInit = {},
  query = "",
  parts: OwnParts = {},
): RpcChannel {
  const app = tcpRuntime(settings, `static://grpc://127.0.0.1:${port}${query}`, parts);
  const channel = new RpcChannel(app);
  onTestFinished(() => channel.close());
  return channel;
}
