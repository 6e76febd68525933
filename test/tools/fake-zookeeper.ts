import { createServer, type Server, type Socket } from "node:net";
import { FrameSplitter, operationOf, xidOf } from "./zookeeper-frames.js";

export interface FakeRequest {
  /** Number of the connection it came on, from 1. */
  connection: number;
  xid: number;
  /** ZooKeeper's operation code: 3 exists, 4 getData, 8 getChildren ... */
  type: number;
  socket: Socket;
}

/** Operation code. */
const closeSession = -11;

/** One frame of ZooKeeper's: its length and what the parts hold. */
export function frame(...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length), body]);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The header of a reply: xid, a transaction id, an error code. */
export function replyHeader(xid: number, errorCode: number): Buffer {
  return Buffer.concat([int32(xid), Buffer.from("0000000000000001", "hex"), int32(errorCode)]);
}

/** Answers the handshake and the end of a session as ZooKeeper does and leaves every request to the test: for answers a real server rarely gives. */
export class FakeZooKeeper {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  private constructor(sessionTimeoutMs: number, onRequest: (request: FakeRequest) => void) {
    this.#server = createServer((socket) => {
      this.#connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      serve(socket, this.#connections, sessionTimeoutMs, onRequest);
    });
  }

  static async start(
    sessionTimeoutMs: number,
    onRequest: (request: FakeRequest) => void,
  ): Promise<FakeZooKeeper> {
    const fake = new FakeZooKeeper(sessionTimeoutMs, onRequest);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the fake is stopped");
    return address.port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function serve(
  socket: Socket,
  connection: number,
  sessionTimeoutMs: number,
  onRequest: (request: FakeRequest) => void,
): void {
  const requests = new FrameSplitter();
  let greeted = false;
  socket.on("data", (chunk) => {
    for (const request of requests.push(chunk)) {
      if (greeted && operationOf(request) === closeSession) {
        socket.end(frame(replyHeader(xidOf(request), 0)));
      } else if (greeted) {
        onRequest({ connection, xid: xidOf(request), type: operationOf(request), socket });
      } else {
        greeted = true;
        const sessionId = Buffer.from("00000000000000aa", "hex");
        const password = Buffer.concat([int32(16), Buffer.alloc(16)]);
        socket.write(frame(int32(0), int32(sessionTimeoutMs), sessionId, password, Buffer.from([0])));
      }
    }
  });
}
