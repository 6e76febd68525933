import { RpcChannel, RpcProvider } from "mprpc";
import { UserServiceRpc, UserServiceRpcStub } from "../gen/bench.js";
import { loginRequest, loginResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import { initNode } from "../node.js";
import type { Caller, Provider, Target } from "../target.js";

/** A node as it comes, with a static registry: nothing but the program itself has to start. */

async function startProvider(): Promise<Provider> {
  const app = await initNode("static://127.0.0.1:1", ["rpcserverip=127.0.0.1", "rpcserverport=0"]);
  let served = 0;
  const provider = new RpcProvider(app);
  provider.notifyService(UserServiceRpc, {
    async login(request) {
      served += 1;
      return loginResponse(request);
    },
  });
  const { port } = await provider.start();
  return {
    endpoint: `127.0.0.1:${port}`,
    served: () => served,
    async close() {
      await provider.shutdown();
      await app.close();
    },
  };
}

async function startCaller(endpoint: string): Promise<Caller> {
  const app = await initNode(`static://${endpoint}`, []);
  const channel = new RpcChannel(app);
  const user = new UserServiceRpcStub(channel);
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = loginRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => user.login(request));
    },
    openIdle() {
      throw new Error("npm run bench -- connections measures connections");
    },
    async close() {
      await channel.close();
      await app.close();
    },
  };
}

export const target: Target = { startProvider, startCaller };
