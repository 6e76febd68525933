/**
 * `clocks-process.ts provider|entry <registry url> <port>`, or `caller <registry url>`: prints what it sees, on the clock of shifted-clock.ts. An
 * `entry` registers an address that nobody serves.
 */
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { openRegistry } from "../../src/registry/open.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService, type ProbeServiceHandler, ProbeServiceStub } from "../support/gen/probe.js";

const [role = "", url = "", port = ""] = process.argv.slice(2);
const callTimeoutMs = 10_000;
const runtime = createRuntime({
  transport: tcpTransport(systemClock),
  registry: openRegistry(url, { snapshotFolder: false, startTimeoutMs: 30_000 }),
});
console.info(`the clock shows ${new Date().toISOString()}`);

async function provide(): Promise<void> {
  const provider = new RpcProvider(runtime);
  const echo: ProbeServiceHandler["echo"] = ({ text }, context) => {
    const leftMs = context.timeLeftMs();
    if (!(leftMs > 0 && leftMs <= callTimeoutMs)) throw new Error(`a deadline of ${leftMs} ms`);
    return { text: `${text} ${port}` };
  };
  provider.notifyService(ProbeService, { echo, relay: echo, note: () => ({}) });
  provider.listen(`127.0.0.1:${port}`);
  await provider.start();
  console.info("registered");
}

async function enter(): Promise<void> {
  await runtime.registry.register({
    service: "clocks.Entry",
    methods: ["Echo"],
    address: { host: "127.0.0.1", port: Number(port) },
    onLost: () => console.info("lost"),
  });
  console.info("registered");
  setInterval(() => {}, 60_000);
}

async function call(): Promise<void> {
  runtime.registry.watch(ProbeService.typeName, ({ endpoints, stale }) => {
    const ports = endpoints.map((endpoint) => endpoint.port).sort((a, b) => a - b);
    console.info(`${stale ? "stale" : "fresh"} list: ${ports.join()}`);
  });
  const stub = new ProbeServiceStub(new RpcChannel(runtime, { waitForReady: true }));
  for (let done = 1; ; done++) {
    try {
      await stub.echo({ text: "here" }, { timeoutMs: callTimeoutMs });
      if (done % 20 === 0) console.info(`called ${done}`);
    } catch (error) {
      console.info(`failed: ${String(error)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const roles: Readonly<Record<string, () => Promise<void>>> = {
  provider: provide,
  entry: enter,
  caller: call,
};
await roles[role]?.();
