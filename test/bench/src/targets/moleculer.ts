import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import moleculer from "moleculer";
import { type JsonRequest, jsonRequest, jsonResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/** Moleculer over its TCP transporter: JSON, one connection each way. The nodes know each other's ports: nothing is broadcast. */

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function brokerOf(nodeID: string, port: number, urls: string[]): moleculer.ServiceBroker {
  const options = { udpDiscovery: false, port, urls };
  return new moleculer.ServiceBroker({ nodeID, logger: false, transporter: { type: "TCP", options } });
}

async function startProvider(): Promise<Provider> {
  const [port, callerPort] = [await freePort(), await freePort()];
  const urls = [`127.0.0.1:${port}/provider`, `127.0.0.1:${callerPort}/caller`];
  let served = 0;
  const broker = brokerOf("provider", port, urls);
  broker.createService({
    name: "user",
    actions: {
      login(context: { params: JsonRequest }) {
        served += 1;
        return jsonResponse(context.params);
      },
    },
  });
  await broker.start();
  return { endpoint: `${callerPort} ${urls.join(",")}`, served: () => served, close: () => broker.stop() };
}

async function startCaller(endpoint: string): Promise<Caller> {
  const [port = "", urls = ""] = endpoint.split(" ");
  const broker = brokerOf("caller", Number(port), urls.split(","));
  await broker.start();
  await broker.waitForServices("user");
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = jsonRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => broker.call("user.login", request));
    },
    openIdle() {
      throw new Error("a node of Moleculer has one connection to another");
    },
    close: () => broker.stop(),
  };
}

export const target: Target = { startProvider, startCaller };
