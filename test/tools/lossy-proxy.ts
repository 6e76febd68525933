import { connect, createServer, type Server, type Socket } from "node:net";
import { FrameSplitter, operationOf, writes, xidOf } from "./zookeeper-frames.js";

/**
 * A proxy before a ZooKeeper server that loses answers: the server has done what was asked, the client cannot know, and
 * its connection is cut.
 */
export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #loses: (write: number, operation: string) => boolean;
  #writes = 0;
  /** What was done unheard, in order. */
  readonly lost: string[] = [];

  private constructor(targetPort: number, loses: (write: number, operation: string) => boolean) {
    this.#loses = loses;
    this.#server = createServer((client) => this.#accept(client, targetPort));
  }

  /** `loses` is asked for every request that changes something, numbered from 1 over all connections. */
  static async start(
    targetPort: number,
    loses: (write: number, operation: string) => boolean,
  ): Promise<LossyProxy> {
    const proxy = new LossyProxy(targetPort, loses);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is stopped");
    return address.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, targetPort: number): void {
    const upstream = connect(targetPort, "127.0.0.1");
    const requests = new FrameSplitter();
    const answers = new FrameSplitter();
    let greeted = false;
    let unheard: { xid: number; operation: string } | undefined;
    client.on("data", (chunk) => {
      for (const frame of requests.push(chunk)) {
        const operation = greeted ? writes.get(operationOf(frame)) : undefined;
        greeted = true;
        if (operation !== undefined && unheard === undefined) {
          this.#writes += 1;
          if (this.#loses(this.#writes, operation)) unheard = { xid: xidOf(frame), operation };
        }
        upstream.write(frame);
      }
    });
    upstream.on("data", (chunk) => {
      for (const frame of answers.push(chunk)) {
        if (unheard !== undefined && xidOf(frame) === unheard.xid) {
          this.lost.push(unheard.operation);
          client.resetAndDestroy();
          upstream.destroy();
          return;
        }
        client.write(frame);
      }
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay();
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
