/**
 * A primary of node:cluster with workers that serve one address: `cluster-process.ts <registry url> <port> <workers>`. It
 * prints `worker <pid> at <port>` for each in turn, once it is registered. With 0 workers it serves itself.
 */
import cluster from "node:cluster";
import { once } from "node:events";
import { silentLogger } from "../../src/log/logger.js";
import { MprpcApplication } from "../../src/node/application.js";
import { RpcProvider } from "../../src/server/provider.js";
import { ProbeService } from "../support/gen/probe.js";

const [url = "", port = "", workers = ""] = process.argv.slice(2);

if (cluster.isPrimary && workers !== "0") {
  for (let i = 0; i < Number(workers); i++) {
    const worker = cluster.fork();
    const [listening] = await once(worker, "message");
    console.info(`worker ${worker.process.pid} at ${listening}`);
  }
} else {
  const warn = (text: string, fields?: object) => console.info(`warning ${text} ${JSON.stringify(fields)}`);
  const log = { ...silentLogger, warn, error: warn };
  const conf = [`--registry=${url}`, `--rpcserverport=${port}`, "--zookeeper.sessiontimeout=2s"];
  const app = await MprpcApplication.init(["", "", ...conf], { log, env: {}, cwd: "/" });
  const provider = new RpcProvider(app);
  const who = () => ({ text: String(process.pid) });
  provider.notifyService(ProbeService, { echo: who, relay: who, note: who });
  await provider.run((address) => {
    if (cluster.isPrimary) console.info(`worker ${process.pid} at ${address.port}`);
    else process.send?.(address.port);
  });
  process.exit();
}
