/** What a process does that never closes its registry: `forgetful-process.ts <registry url> <what> [<timeout ms>]`. */
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { openRegistry } from "../../src/registry/open.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { registration } from "./conformance.js";

const [url = "", what, timeout] = process.argv.slice(2);
const registry = openRegistry(url, { snapshotFolder: false });
process.on("exit", (code) => console.info(`exit ${code}`));

if (what === "call") {
  const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
  const stub = new ProbeServiceStub(new RpcChannel(runtime));
  await stub.relay({ text: "x" }, { timeoutMs: Number(timeout) }).then(
    ({ text }) => console.info(`answered ${text}`),
    (error) => console.info(`failed ${error.codeName}`),
  );
} else if (what === "list") {
  await registry.list().catch((error) => console.info(`failed ${error.code}`));
} else if (what === "unregister") {
  const handle = await registry.register(registration(8000));
  await handle.unregister();
  console.info("unregistered");
} else {
  await registry.register(registration(8000)).catch((error) => console.info(`failed ${error.code}`));
}
