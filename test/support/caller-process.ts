// A caller in a process of its own, for tests of what keeps a process alive. Arguments: port, what to do.
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { FixedRegistry } from "./fixed-registry.js";
import { ProbeServiceStub } from "./gen/probe.js";

const [port, what] = process.argv.slice(2);
const registry = new FixedRegistry([
  { host: "127.0.0.1", port: Number(port), protocol: "mprpc", weight: 1, attributes: {} },
]);
const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
const channel = new RpcChannel(runtime);
const stub = new ProbeServiceStub(channel);

process.on("exit", (code) => console.log(`exit ${code}`));
if (what === "idle") {
  await stub.relay({ text: "x" });
  console.log("answered");
  // Neither closed nor ended by hand: an idle connection must not hold the process.
} else if (what === "pending") {
  stub
    .echo({ text: "pending" }, { timeoutMs: 700 })
    .catch((error) => console.log(`failed ${error.codeName}`));
} else if (what === "down") {
  await stub.echo({}).catch((error) => console.log(`failed ${error.codeName}`));
} else {
  await stub.relay({ text: "x" });
  await channel.close();
  console.log("closed");
}
