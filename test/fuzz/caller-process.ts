// Calls an evil provider once and an honest one all the while. Arguments: the port, and the query of the registry.
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { ZooServiceStub } from "./gen/zoo.js";

const [evilPort = "", query = ""] = process.argv.slice(2);
/** How long the evil call may take, and so the attack. */
const timeoutMs = 2500;
const transport = tcpTransport(systemClock);
const provider = new RpcProvider(createRuntime({ transport }));
provider.notifyService(ProbeService, {
  echo: (request) => request,
  relay: (request) => request,
  note: (request) => request,
});
const { port } = await provider.start();
const url = `static://fuzz.ZooService=127.0.0.1:${evilPort},probe.ProbeService=127.0.0.1:${port}${query}`;
// limits.unwritten is what pongs that nobody reads may take; its default would hide what else they take.
const settings = { unwrittenMaxBytes: 16 * 2 ** 20 };
const channel = new RpcChannel(createRuntime({ transport, registry: new StaticRegistry(url), settings }));
const probe = new ProbeServiceStub(channel);

const rssOf = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().rss;
};

for (let i = 0; i < 20; i++) await probe.echo({ number: i });
const before = rssOf();
let over = false;
const evil = new ZooServiceStub(channel)
  .echo({ name: "cat" }, { timeoutMs })
  .then(
    () => "OK",
    (error: unknown) =>
      error instanceof RpcError ? `${error.codeName} ${error.rawMessage}` : `NO RpcError ${error}`,
  )
  .finally(() => {
    over = true;
  });
let [honest, grownBytes] = [0, 0];
while (!over || honest <= 10) {
  const { number } = await probe.echo({ number: honest }, { timeoutMs: 20_000 });
  if (number !== honest) throw new Error(`an honest call got ${number}`);
  honest++;
  if (honest % 50 === 0) grownBytes = Math.max(grownBytes, rssOf() - before);
}
grownBytes = Math.max(grownBytes, rssOf() - before);
console.log(JSON.stringify({ outcome: await evil, honest, grownBytes }));
process.exit(0);
