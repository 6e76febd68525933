// A provider that is attacked, in a process of its own. Argument: settings, as JSON.
import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { CountingLog } from "./counting-log.js";
import { ZooService } from "./gen/zoo.js";
import { createZoo } from "./zoo.js";

/** What Stats answers, as JSON. */
export interface ProviderStats {
  rssBytes: number;
  heapBytes: number;
  connections: number;
  inFlight: number;
  toiling: number;
  /** Warnings of the log, reasons of closed connections and codes of failed calls, with how often. */
  refused: Record<string, number>;
}

const log = new CountingLog();
const runtime = createRuntime({
  transport: tcpTransport(systemClock),
  log,
  settings: JSON.parse(process.argv[2] ?? "{}"),
});
const provider = new RpcProvider(runtime);
runtime.events.on("connectionClose", ({ reason }) => {
  if (reason !== undefined) log.count(`closed: ${reason}`);
});
runtime.events.on("serverEnd", ({ error }) => {
  if (error !== undefined) log.count(`call failed: ${error.rawMessage}`);
});
const stats = (): ProviderStats => {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const { connections, inFlight } = provider;
  const refused = Object.fromEntries(log.counts);
  return { rssBytes: rss, heapBytes: heapUsed, connections, inFlight, toiling: zoo.toiling, refused };
};
const zoo = createZoo({ stats });
provider.notifyService(ZooService, zoo.handlers);
await provider.run(({ port }) => console.log(`listening ${port}`));
