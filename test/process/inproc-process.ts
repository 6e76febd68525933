// A provider that listens on no socket, as README.md starts one: `run` alone keeps the process.
import { MprpcApplication, RpcProvider } from "../../src/index.js";
import { ProbeService } from "../support/gen/probe.js";

await using app = await MprpcApplication.init(process.argv);
const provider = new RpcProvider(app).notifyService(ProbeService, {
  echo: (request) => request,
  relay: (request) => request,
  note: (request) => request,
});
await provider.run(({ host }) => console.log(`listening on ${host}`));
console.log("drained");
