import { fileURLToPath } from "node:url";
import {
  Client,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { load } from "@grpc/proto-loader";
import { loginRequest, loginResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/** The peer: one insecure channel, unary calls with no deadline, which is what grpc-js does best. */

const protoFile = fileURLToPath(new URL("../../bench.proto", import.meta.url));

interface LoginRequest {
  name: Buffer;
  pwd: Buffer;
}

type LoginResponse = ReturnType<typeof loginResponse>;

async function userService(): Promise<{
  definition: ServiceDefinition;
  login: MethodDefinition<LoginRequest, LoginResponse>;
}> {
  const definition = (await load(protoFile))["fixbug.UserServiceRpc"] as ServiceDefinition;
  return { definition, login: definition.Login as MethodDefinition<LoginRequest, LoginResponse> };
}

async function startProvider(): Promise<Provider> {
  const { definition } = await userService();
  let served = 0;
  const server = new Server();
  server.addService(definition, {
    Login(call: ServerUnaryCall<LoginRequest, LoginResponse>, callback: sendUnaryData<LoginResponse>) {
      served += 1;
      callback(null, loginResponse(call.request));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    endpoint: `127.0.0.1:${port}`,
    served: () => served,
    close: async () => server.forceShutdown(),
  };
}

function call(
  client: Client,
  login: MethodDefinition<LoginRequest, LoginResponse>,
  request: LoginRequest,
): Promise<LoginResponse> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      login.path,
      login.requestSerialize,
      login.responseDeserialize,
      request,
      (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
    );
  });
}

async function startCaller(endpoint: string): Promise<Caller> {
  const { login } = await userService();
  // Without its own pool every client of one address would share one connection.
  const open = () =>
    new Client(endpoint, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const client = open();
  const idle: Client[] = [];
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = loginRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => call(client, login, request));
    },
    callOnce: (payloadBytes) => call(client, login, loginRequest(payloadBytes)),
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const one = open();
        idle.push(one);
        await call(one, login, loginRequest(20));
      }
    },
    async close() {
      for (const one of [client, ...idle]) one.close();
    },
  };
}

export const target: Target = { startProvider, startCaller };
