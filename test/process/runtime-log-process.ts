// A provider on a runtime of `createRuntime`, whose handler throws. Argument: "default", or "silent" for no log.
import { RpcChannel } from "../../src/client/channel.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { silentLogger } from "../../src/log/logger.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

await using runtime = createRuntime(process.argv[2] === "silent" ? { log: silentLogger } : {});
await using provider = new RpcProvider(runtime);
const echo = (): never => {
  throw new Error("boom");
};
provider.notifyService(ProbeService, { echo, relay: echo, note: echo });
await provider.start();
await using channel = new RpcChannel(runtime);
try {
  await new ProbeServiceStub(channel).echo({});
} catch (error) {
  if (error instanceof RpcError) console.log(`[${error.codeName.toLowerCase()}] ${error.rawMessage}`);
}
