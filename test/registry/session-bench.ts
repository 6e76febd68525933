import type { Address } from "../../src/base/address.js";
import type { Clock } from "../../src/base/clock.js";
import { fillDeps } from "../../src/registry/deps.js";
import { connectZooKeeper } from "../../src/registry/zookeeper/client.js";
import { ZooKeeperSession } from "../../src/registry/zookeeper/session.js";
import { type FakeRequest, FakeZooKeeper, frame, replyHeader } from "../tools/fake-zookeeper.js";
import { LossyProxy } from "../tools/lossy-proxy.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { Recorder } from "../tools/wait.js";
import { sessionTimeoutMs, ZooKeeperServer } from "../tools/zookeeper.js";

export interface OpenSession {
  auth?: string;
  chroot?: string;
  timeoutMs?: number;
  clock?: Clock;
}

/** A session and what it told, in order. */
export interface Opened {
  session: ZooKeeperSession;
  told: Recorder<string>;
  /** Paths of watches that fired. */
  changed: Recorder<string>;
}

/** Sessions, servers and proxies of one test, closed with it in reverse order. */
export class SessionBench {
  readonly #cleanups: Array<() => Promise<unknown>> = [];

  static async on(story: (bench: SessionBench) => Promise<void>): Promise<void> {
    const bench = new SessionBench();
    try {
      await story(bench);
    } finally {
      await bench.close();
    }
  }

  onClose(cleanup: () => Promise<unknown>): void {
    this.#cleanups.push(cleanup);
  }

  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
  }

  async fake(onRequest: (request: FakeRequest) => void, timeoutMs = 1500): Promise<FakeZooKeeper> {
    const server = await FakeZooKeeper.start(timeoutMs, onRequest);
    this.onClose(() => server.stop());
    return server;
  }

  async server(): Promise<ZooKeeperServer> {
    const server = await ZooKeeperServer.start();
    this.onClose(() => server.stop());
    return server;
  }

  async proxy(port: number): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(port);
    this.onClose(() => proxy.stop());
    return proxy;
  }

  async lossyProxy(port: number, loses: (write: number, operation: string) => boolean): Promise<LossyProxy> {
    const proxy = await LossyProxy.start(port, loses);
    this.onClose(() => proxy.stop());
    return proxy;
  }

  /** Begins to connect to these servers, in this order; a number is a port of this machine. */
  open(servers: readonly (number | Address)[], options: OpenSession = {}): Opened {
    const { auth, chroot = "", timeoutMs = sessionTimeoutMs, clock } = options;
    const session = new ZooKeeperSession({
      servers: servers.map((server) =>
        typeof server === "number" ? { host: "127.0.0.1", port: server } : server,
      ),
      ...{ chroot, sessionTimeoutMs: timeoutMs, auth, connect: connectZooKeeper },
      deps: fillDeps({ random: () => 0.99, ...(clock === undefined ? {} : { clock }) }),
    });
    const told = new Recorder<string>();
    const changed = new Recorder<string>();
    session.on("session", ({ fresh }) => told.push(fresh ? "session fresh" : "session resumed"));
    session.on("suspended", ({ reason }) => told.push(`suspended ${reason.message}`));
    session.on("lost", () => told.push("lost"));
    session.on("unreachable", ({ reason }) => told.push(`unreachable ${reason.message}`));
    session.on("changed", ({ path }) => changed.push(path));
    session.start();
    this.onClose(() => session.close());
    return { session, told, changed };
  }

  /** As `open`, connected, its chroot there. */
  async connect(servers: readonly (number | Address)[], options: OpenSession = {}): Promise<Opened> {
    const opened = this.open(servers, options);
    await opened.told.until("a session", (text) => text === "session fresh");
    if (options.chroot !== undefined) await opened.session.createChroot();
    return opened;
  }
}

/** Answers a request of the fake with an error code, or 0. */
export function answer({ socket, xid }: FakeRequest, errorCode: number): void {
  socket.write(frame(replyHeader(xid, errorCode)));
}

/** What an operation rejects with; `undefined` when it does not. */
export async function failureOf(operation: Promise<unknown>): Promise<Error | undefined> {
  try {
    await operation;
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
