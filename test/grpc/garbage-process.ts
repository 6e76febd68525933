// Counts what gRPC calls over TCP leave in the old generation, caller and provider in this process, and prints it as JSON: bytes
// there that only a full collection takes away, though no call is in flight any more.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";
import { MprpcApplication, RpcChannel, RpcProvider } from "../../src/index.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";

const streamed = process.argv[2] === "streamed";
const calls = streamed ? 10_000 : 20_000;
const inFlight = 64;
/** `detail.kind` of a full collection. */
const majorKind = 4;

let majors = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { detail } = entry as { detail?: { kind?: number } };
    if (detail?.kind === majorKind) majors++;
  }
}).observe({ entryTypes: ["gc"] });

const folder = mkdtempSync(path.join(tmpdir(), "mprpc-garbage-"));
const flags = [
  ...[`--registry=file:${folder}`, "--rpcserverip=127.0.0.1", "--rpcserverport=0", "--channel.local=off"],
  ...["--provider.protocols=grpc", "--log.level=error"],
];
const app = await MprpcApplication.init(["node", "garbage", ...flags], { env: {}, cwd: folder });
const provider = new RpcProvider(app).notifyService(FlowService, {
  ask: (request) => request,
  watch: (request) => [request],
  put: () => ({}),
  chat: () => [],
});
await provider.start();
const channel = new RpcChannel(app);
const stub = new FlowServiceStub(channel);

async function run(count: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      if (!streamed) await stub.ask({ number: left });
      else for await (const _ of stub.watch({ number: left }));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

await run(calls);
globalThis.gc?.();
await settle();
majors = 0;
const before = oldBytes();
await run(calls);
const promotedBytesPerCall = (oldBytes() - before) / calls;
await settle();
console.log(JSON.stringify({ majors, promotedBytesPerCall }));
await channel.close();
await provider.shutdown();
await app.close();
rmSync(folder, { recursive: true });
