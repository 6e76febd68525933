import { once } from "node:events";
import net from "node:net";
import { type ClassicDialect, readClassicRequest } from "../../src/protocol/classic/classic-wire.js";

/** What a provider of the classic framework makes of a request; `undefined` is silence, `reset` an RST. */
export type ClassicHandler = (service: string, method: string, body: Buffer) => Buffer | undefined | "reset";

/**
 * A provider as C++ forks have it: it takes the first read for the whole request, aborts when that is split or above
 * 65 KB, says nothing to an unknown method, and closes after its reply where the dialect says so.
 */
export class ClassicProvider {
  readonly port: number;
  /** Requests it aborted on. */
  aborts = 0;
  /** Sizes of its reads. */
  readonly reads: number[] = [];
  connections = 0;
  /** It says nothing to what it does not understand, as most do, instead of giving up. */
  silent = false;
  /** Answers each request in its place. */
  onRequest: ((socket: net.Socket) => void) | undefined;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server, sockets: Set<net.Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as net.AddressInfo).port;
  }

  static async start(dialect: ClassicDialect, handler: ClassicHandler): Promise<ClassicProvider> {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      provider.connections++;
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
      socket.on("data", (chunk) => provider.#serve(socket, chunk, dialect, handler));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const provider = new ClassicProvider(server, sockets);
    return provider;
  }

  #serve(socket: net.Socket, chunk: Buffer, dialect: ClassicDialect, handler: ClassicHandler): void {
    this.reads.push(chunk.length);
    const result = readClassicRequest(chunk, 0, dialect, 65_000);
    if (result.kind !== "request") {
      // assert() in the original.
      this.aborts++;
      if (!this.silent) socket.resetAndDestroy();
      return;
    }
    if (this.onRequest !== undefined) {
      this.onRequest(socket);
      return;
    }
    const { service, method, bodyStart, bodyEnd } = result.request;
    const reply = handler(service, method, chunk.subarray(bodyStart, bodyEnd));
    if (reply === undefined) return;
    if (reply === "reset") {
      socket.resetAndDestroy();
      return;
    }
    if (dialect === "framed") {
      const lead = Buffer.alloc(4);
      lead.writeUInt32BE(reply.length);
      socket.write(Buffer.concat([lead, reply]));
    } else if (dialect === "varint") socket.write(reply);
    else socket.end(reply);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
