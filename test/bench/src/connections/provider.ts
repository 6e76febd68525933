import { RpcProvider } from "mprpc";
import { initNode } from "../node.js";
import { serveRequests, takeMark, takeMemory } from "../serve.js";
import type { ProviderRequest } from "./protocol.js";
import { clientsService } from "./service.js";

/** The measured provider: `provider.js PORT REGISTRY`, at every address of the loopback network; callers are told the first. */

const [port = "0", registry = ""] = process.argv.slice(2);
const app = await initNode(registry, [
  "rpcserverip=0.0.0.0",
  `rpcserverport=${port}`,
  "advertiseaddress=127.0.0.1",
  "provider.maxconnections=1000000",
  "provider.maxinflight=1000000",
]);
let served = 0;
const provider = new RpcProvider(app);
provider.notifyService(clientsService, {
  echo(request) {
    served += 1;
    return request;
  },
  hang: () => new Promise<never>(() => {}),
});
const address = await provider.start();

serveRequests<ProviderRequest>(String(address.port), async ({ kind }) => {
  switch (kind) {
    case "mark":
      return takeMark(served);
    case "memory":
      return { ...(await takeMemory()), connections: provider.connections };
    case "close":
      return null;
  }
});
