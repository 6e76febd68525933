import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo, Server, Socket } from "node:net";
import { loginRequest, loginResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/**
 * Apache Thrift over one TCP connection: calls carry a sequence number, so that many are in flight at once. Buffered
 * transport and binary protocol: the npm package's defaults, and the fastest of the pairs it has.
 */

interface LoginRequest {
  name: Buffer;
  pwd: Buffer;
}

/** Of the npm package, which has no types of its own, what is used here. */
interface Thrift {
  TBufferedTransport: object;
  TBinaryProtocol: object;
  createServer(service: object, handler: object, options: object): Server;
  createConnection(host: string, port: number, options: object): Connection;
  createClient(service: object, connection: Connection): Client;
}

interface Connection extends NodeJS.EventEmitter {
  /** The socket. */
  connection: Socket;
  end(): void;
}

interface Client {
  Login(request: LoginRequest): Promise<ReturnType<typeof loginResponse>>;
}

// Both are CommonJS: the package, and the code its compiler made.
const require = createRequire(import.meta.url);
const thrift = require("thrift") as Thrift;
const service = require("../../thrift/gen/UserServiceRpc.js") as object;

const options = { transport: thrift.TBufferedTransport, protocol: thrift.TBinaryProtocol };

async function startProvider(): Promise<Provider> {
  let served = 0;
  const handler = {
    // The generated code looks at the number of parameters: with one it takes what the handler returns.
    async Login(request: LoginRequest) {
      served += 1;
      return loginResponse(request);
    },
  };
  const server = thrift.createServer(service, handler, options);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: String((server.address() as AddressInfo).port),
    served: () => served,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function connect(port: number): Promise<{ connection: Connection; client: Client }> {
  const connection = thrift.createConnection("127.0.0.1", port, options);
  await once(connection, "connect");
  return { connection, client: thrift.createClient(service, connection) };
}

async function startCaller(endpoint: string): Promise<Caller> {
  const port = Number(endpoint);
  const main = await connect(port);
  const open = [main.connection];
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = loginRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => main.client.Login(request));
    },
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const { connection, client } = await connect(port);
        open.push(connection);
        await client.Login(loginRequest(20));
      }
    },
    async close() {
      for (const connection of open) connection.end();
    },
  };
}

export const target: Target = { startProvider, startCaller };
