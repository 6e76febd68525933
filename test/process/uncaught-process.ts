// A provider whose program throws where nobody catches. Arguments: those of a node.
import { MprpcApplication, RpcProvider } from "../../src/index.js";
import { ProbeService } from "../support/gen/probe.js";

const app = await MprpcApplication.init(process.argv);
const provider = new RpcProvider(app);
provider.notifyService(ProbeService, { echo: () => ({}), relay: () => ({}), note: () => ({}) });
await provider.run(() => {
  setTimeout(() => {
    for (let n = 0; n < 1000; n++) app.log.info("before the end", { n });
    throw new Error("a timer of the program");
  }, 0);
});
