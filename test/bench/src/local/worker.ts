import { MprpcApplication, RpcChannel, RpcProvider, silentLogger } from "mprpc";
import { UserServiceRpc, UserServiceRpcStub } from "../gen/bench.js";
import { loginRequest, loginResponse } from "../login.js";
import { serveRequests } from "../serve.js";
import type { LocalAnswers, LocalRequest, LocalWay } from "./protocol.js";

/** The measured process: `local/worker.js WAY FOLDER`. Channel and provider are both in it. */

const [way = "tcp", folder = ""] = process.argv.slice(2) as [LocalWay, string];

async function init(...flags: string[]): Promise<MprpcApplication> {
  const parts = { env: {}, cwd: folder, log: silentLogger };
  return MprpcApplication.init([process.execPath, "bench", ...flags], parts);
}

const listen = { tcp: "127.0.0.1", unix: `unix:${folder}/bench.sock`, inproc: "inproc:bench" }[way];
const app = await init(`--rpcserverip=${listen}`, "--registry=static://127.0.0.1:1");
const provider = new RpcProvider(app).notifyService(UserServiceRpc, { login: loginResponse });
const { host, port } = await provider.start();
const caller = await init(
  `--registry=static://${way === "tcp" ? `${host}:${port}` : host}`,
  "--channel.local=off",
);
const channel = new RpcChannel(caller);
const stub = new UserServiceRpcStub(channel);

async function measure(inFlight: number, sliceMs: number): Promise<LocalAnswers["measure"]> {
  const request = loginRequest(20);
  let calls = 0;
  const [startMs, before] = [performance.now(), process.cpuUsage()];
  const loop = async (): Promise<void> => {
    while (performance.now() - startMs < sliceMs) {
      await stub.login(request);
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const { user, system } = process.cpuUsage(before);
  return { us: ((performance.now() - startMs) * 1000) / calls, cpuUs: (user + system) / calls };
}

serveRequests<LocalRequest>("", async (request) => {
  if (request.kind === "measure") return measure(request.inFlight, request.sliceMs);
  await channel.close();
  await provider.shutdown();
  await Promise.all([app.close(), caller.close()]);
  return null;
});
