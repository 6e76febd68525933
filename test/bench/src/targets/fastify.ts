import type { AddressInfo } from "node:net";
import fastify from "fastify";
import { Pool } from "undici";
import { type JsonRequest, jsonRequest, jsonResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/** HTTP/1.1 and JSON: a connection for each call in flight, up to 64. */

const connections = 64;

async function startProvider(): Promise<Provider> {
  let served = 0;
  const http = fastify({ bodyLimit: 1 << 26 });
  http.post<{ Body: JsonRequest }>("/login", async (request) => {
    served += 1;
    return jsonResponse(request.body);
  });
  await http.listen({ host: "127.0.0.1", port: 0 });
  const { port } = http.server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, served: () => served, close: () => http.close() };
}

async function startCaller(endpoint: string): Promise<Caller> {
  const pool = new Pool(endpoint, { connections });
  const idle: Pool[] = [];
  const call = async (by: Pool, body: JsonRequest): Promise<unknown> => {
    const reply = await by.request({
      path: "/login",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return reply.body.json();
  };
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = jsonRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => call(pool, request));
    },
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const one = new Pool(endpoint, { connections: 1, keepAliveTimeout: 600_000 });
        idle.push(one);
        await call(one, jsonRequest(20));
      }
    },
    async close() {
      for (const one of [pool, ...idle]) await one.destroy();
    },
  };
}

export const target: Target = { startProvider, startCaller };
