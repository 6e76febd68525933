// Counts what calls cost over TCP, caller and provider in this process, and prints it as JSON. A process of its own: nothing
// else may allocate, and its young generation is so large that nothing is collected meanwhile.
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { systemClock } from "../../src/base/clock.js";
import { MprpcApplication, RpcChannel, RpcProvider } from "../../src/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Transport } from "../../src/transport/transport.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

const calls = 40_000;
const warmUpCalls = 30_000;
const inFlight = 64;
const everything = process.argv[2] === "everything";
/** A policy that names the caller, whose identity its connection has proved. */
const policed = process.argv[2] === "policed";

const counted = { collections: 0, timers: 0, writes: 0, writtenBytes: 0 };
new PerformanceObserver((list) => {
  counted.collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

const { setTimeout: realSetTimeout } = globalThis;
const countedSetTimeout = (...args: Parameters<typeof realSetTimeout>) => {
  counted.timers++;
  return realSetTimeout(...args);
};
globalThis.setTimeout = Object.assign(countedSetTimeout, realSetTimeout) as typeof realSetTimeout;

const { write } = net.Socket.prototype;
net.Socket.prototype.write = function counting(this: net.Socket, chunk: Uint8Array, ...rest: never[]) {
  counted.writes++;
  counted.writtenBytes += chunk.length;
  return write.call(this, chunk, ...rest);
} as typeof write;

const folder = mkdtempSync(path.join(tmpdir(), "mprpc-cost-"));
const flags = [
  `--registry=file:${folder}`,
  "--rpcserverip=127.0.0.1",
  "--rpcserverport=0",
  // Both ends are in this process, and the wire is what is measured.
  "--channel.local=off",
  "--log.level=error",
];
const transport = tcpTransport(systemClock);
/** As after a handshake: who the other end is is known, and the bytes travel as before. */
const proving: Transport = {
  connect: (address, options) => transport.connect(address, options),
  listen: (address, onConnection) =>
    transport.listen(address, (connection) => {
      const security = { kind: "tls", confidential: true, identity: "secret:cost" };
      onConnection(Object.assign(connection, { security }));
    }),
  localHostTowards: (address) => transport.localHostTowards(address),
};
const parts = { env: {}, cwd: folder, ...(policed ? { transport: proving } : {}) };
const app = await MprpcApplication.init(["node", "cost", ...flags], parts);
const provider = new RpcProvider(app, {
  ...(policed ? { policy: { "*": "none", "probe.ProbeService/*": "jwt:* | secret:cost" } } : {}),
  interceptors: everything ? [(next) => async (call) => next(call)] : [],
});
provider.notifyService(ProbeService, {
  echo: (request) => request,
  relay: (request) => request,
  note: (request) => request,
});
await provider.start();
const channel = new RpcChannel(app, {
  interceptors: everything ? [(next) => async (call) => next(call)] : [],
});
const stub = new ProbeServiceStub(channel);
const options = everything ? { metadata: { tenant: "cost", "request-id": "0123456789abcdef" } } : {};

async function run(count: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) await stub.echo({ text: "twenty bytes of text" }, options);
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

await run(warmUpCalls);
globalThis.gc?.();
// The observer hears of that one with the next turns of the event loop.
for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
Object.assign(counted, { collections: 0, timers: 0, writes: 0, writtenBytes: 0 });
const before = process.memoryUsage().heapUsed;
await run(calls);
const heapBytes = process.memoryUsage().heapUsed - before;
for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
const { collections, timers, writes, writtenBytes } = counted;
console.log(
  JSON.stringify({
    collections,
    timers,
    writesPer1000: (writes / calls) * 1000,
    heapBytesPerCall: heapBytes / calls,
    wireBytesPerCall: writtenBytes / calls,
  }),
);
await channel.close();
await provider.shutdown();
await app.close();
rmSync(folder, { recursive: true });
