import cluster from "node:cluster";
import { createHash } from "node:crypto";
import dgram from "node:dgram";
import net from "node:net";
import { hostname } from "node:os";
import { type Address, formatAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import { PeerTimer } from "../base/peer-timer.js";
import { bootId, readStat, startTicks } from "../base/process-start.js";
import { messages } from "../error/messages.js";
import type {
  Connection,
  ConnectionHandler,
  ConnectionSecurity,
  ConnectOptions,
  Listener,
  Transport,
} from "./transport.js";

/** A backlog that survives 10,000 clients reconnecting at once; the system cuts it to its own maximum. */
export const backlog = 4096;

const nothing = new Uint8Array(0);

/** The read buffer shared by every socket of the process: a receiver must copy the bytes it keeps. */
const readBuffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Node's `onread`: the system reads into our buffer. Otherwise each read allocates, slices and collects a buffer of 64 KiB,
 * which costs more than all other JavaScript work of a round trip of small messages.
 */
export class Inlet {
  handler: ConnectionHandler | undefined = undefined;
  readonly buffer = (): Buffer => this.handler?.readTo?.(readBuffer) ?? readBuffer;
  readonly callback = (count: number, buffer: Uint8Array): boolean => {
    const filled = buffer as Buffer;
    this.handler?.onData(count === filled.length ? filled : filled.subarray(0, count));
    return true;
  };
}

/** Missing in the type declarations of Node. */
interface SocketInternals extends net.SocketConstructorOpts {
  handle: unknown;
  pauseOnCreate: boolean;
  onread: net.OnReadOpts;
}

/**
 * An accepted socket that reads through `inlet`. Node supports `onread` for created sockets, not for those a server
 * accepts, so the handle is moved to a socket created here. If a later Node hides the handle, the accepted socket is used.
 */
export function withInlet(accepted: net.Socket, inlet: Inlet): net.Socket {
  const shell = accepted as unknown as { _handle?: object | null };
  const handle = shell._handle;
  if (typeof handle !== "object" || handle === null) {
    accepted.on("data", (chunk: Buffer) => inlet.callback(chunk.length, chunk));
    return accepted;
  }
  shell._handle = null;
  const options: SocketInternals = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: inlet };
  return new net.Socket(options);
}

/** The name of a socket without hosts and ports, and what is known of its other end. */
export interface SocketEnds {
  readonly local: string;
  readonly remote: string;
  readonly security: ConnectionSecurity;
}

/** A connection over a stream socket of the system, TCP or not. */
export class SocketConnection implements Connection {
  readonly remote: string;
  readonly local: string;
  readonly security: ConnectionSecurity | undefined;
  turnedAway: string | undefined;
  readonly #socket: net.Socket;
  readonly #inlet: Inlet;
  readonly #isTcp: boolean;
  /** Bytes read before it was created. */
  #unread: Buffer | undefined;
  #pausedUnread = false;
  #error: Error | undefined;
  readonly #onWritten = (): void => {
    if (!this.#awaitingDrain) return;
    if (this.#socket.writableLength > 0) {
      this.#socket.write(nothing, this.#onWritten);
      return;
    }
    this.#awaitingDrain = false;
    this.#inlet.handler?.onDrain();
  };
  #awaitingDrain = false;

  /** `socket` is paused. `ends`: for a socket that is not TCP. `unread`: bytes already read from it. */
  constructor(socket: net.Socket, inlet: Inlet, ends?: SocketEnds, unread?: Buffer) {
    this.#socket = socket;
    this.#inlet = inlet;
    this.#unread = unread;
    this.remote = ends?.remote ?? describeEnd(socket.remoteAddress, socket.remotePort);
    this.local = ends?.local ?? describeEnd(socket.localAddress, socket.localPort);
    this.security = ends?.security;
    this.#isTcp = ends === undefined;
    if (this.#isTcp) socket.setNoDelay(true);
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("end", () => inlet.handler?.onEnd());
    socket.once("close", () => inlet.handler?.onClose(this.#error));
  }

  get unwrittenBytes(): number {
    return this.#socket.writableLength;
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  setHandler(handler: ConnectionHandler): void {
    const first = this.#inlet.handler === undefined;
    this.#inlet.handler = handler;
    if (!first) return;
    if (this.#unread === undefined) this.#socket.resume();
    else process.nextTick(() => this.#deliverUnread());
  }

  #deliverUnread(): void {
    const unread = this.#unread as Buffer;
    this.#unread = undefined;
    if (this.#socket.destroyed) return;
    this.#inlet.handler?.onData(unread);
    if (!this.#pausedUnread) this.#socket.resume();
  }

  write(data: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    socket.write(data);
    return this.#hasLeft();
  }

  writeParts(parts: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
    return this.#hasLeft();
  }

  #hasLeft(): boolean {
    const socket = this.#socket;
    // Node hands small writes to the kernel at once; then nothing is left and the buffer is free again.
    if (socket.writableLength === 0) return true;
    // An empty write after it reports when it was sent: a callback for every write would slow down the quick ones.
    if (!this.#awaitingDrain) socket.write(nothing, this.#onWritten);
    this.#awaitingDrain = true;
    return false;
  }

  pause(): void {
    this.#pausedUnread = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#pausedUnread = false;
    if (this.#unread === undefined) this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    if (error !== undefined) this.#error ??= error;
    this.#socket.destroy();
  }

  reset(): void {
    // Only TCP has resets.
    if (this.#isTcp) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}

/** `host:port` of one end of a socket. */
export function describeEnd(host: string | undefined, port: number | undefined): string {
  if (host === undefined || port === undefined) return "unknown";
  // A dual-stack listener shows IPv4 callers as ::ffff:1.2.3.4.
  return formatAddress({ host: host.replace(/^::ffff:(?=\d+\.)/, ""), port });
}

/** The parameters of `connectSocket`. */
export interface SocketTarget {
  /** For messages. */
  readonly where: string;
  /** Creates the socket, which reads through `inlet`. */
  open(inlet?: Inlet): net.Socket;
  /** Why a connected socket cannot be used. */
  refuse?(socket: net.Socket): string | undefined;
  readonly ends?: SocketEnds;
}

/** Connects a socket of the system within its time. */
export async function connectSocket(
  target: SocketTarget,
  options: ConnectOptions,
  clock: Clock,
): Promise<Connection> {
  const inlet = new Inlet();
  return new SocketConnection(await openSocket(target, options, clock, inlet), inlet, target.ends);
}

/** A connection whose bytes go in clear, over an accepted socket of which `unread` was read already. */
export function clearConnection(socket: net.Socket, unread: Buffer): SocketConnection {
  const inlet = new Inlet();
  return new SocketConnection(withInlet(socket, inlet), inlet, undefined, unread);
}

/** A connected socket, paused, which does not keep the process alive. Rejects with an `Error` whose message names the address. */
function openSocket(
  { where, open, refuse }: Omit<SocketTarget, "ends">,
  options: ConnectOptions,
  clock: Clock,
  inlet?: Inlet,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(inlet);
    const { signal } = options;
    const settle = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
      socket.removeListener("connect", onConnect);
    };
    const fail = (message: string, cause?: unknown): void => {
      settle();
      socket.on("error", () => {});
      socket.destroy();
      reject(new Error(message, { cause }));
    };
    const onAbort = (): void => fail(messages.connectGivenUp(where), signal?.reason);
    const onTimeout = (): void => fail(messages.connectTimedOut(where, options.timeoutMs));
    const timer = new PeerTimer(clock, onTimeout, options.timeoutMs);
    const onError = (error: NodeJS.ErrnoException): void => {
      fail(messages.cannotConnect(where, error.code ?? error.message), error);
    };
    const onConnect = (): void => {
      const refused = refuse?.(socket);
      if (refused !== undefined) {
        fail(messages.cannotConnect(where, refused));
        return;
      }
      settle();
      // A pending call keeps the process alive by its deadline; an idle connection must not.
      socket.unref();
      socket.pause();
      resolve(socket);
    };
    socket.once("error", onError);
    socket.once("connect", onConnect);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function tcpTarget(address: Address): SocketTarget {
  const { host, port } = address;
  return {
    where: formatAddress(address),
    open: (onread) =>
      net.connect({ host, port, allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) }),
    // Nobody listens, and the system gave the caller the very port it calls as its own (TCP self-connect). Nothing but its
    // own frames would ever come back, its own pongs to its pings among them.
    refuse: ({ localPort, remotePort, localAddress, remoteAddress }) =>
      localPort === remotePort && localAddress === remoteAddress ? messages.connectedToItself : undefined,
  };
}

/** A connected TCP socket, for a transport over TCP: paused, and it does not keep the process alive. */
export function openTcpSocket(address: Address, options: ConnectOptions, clock: Clock): Promise<net.Socket> {
  return openSocket(tcpTarget(address), options, clock);
}

/** What the system's error codes mean for a configured address, and the key that changes it. */
const listenHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is taken (rpcserverport; 0 picks a free one)",
  EADDRNOTAVAIL: "it is no address of this machine (rpcserverip; 0.0.0.0 listens on all)",
  ENOTFOUND: "there is no such host (rpcserverip)",
  EAI_AGAIN: "the host cannot be looked up now (rpcserverip; an address needs no look-up)",
  EACCES:
    "this user may not listen there; ports below 1024 are the system's (rpcserverport; 0 picks a free one)",
};

function listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
  return listenForSockets(address, (socket) => {
    const inlet = new Inlet();
    onConnection(new SocketConnection(withInlet(socket, inlet), inlet));
  });
}

/** The sockets come paused. Rejects with an `Error` that names the address. */
export function listenForSockets(
  address: Address,
  onSocket: (socket: net.Socket) => void,
): Promise<Listener> {
  const where = formatAddress(address);
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, onSocket);
    server.once("error", (error: NodeJS.ErrnoException) => {
      const hint = listenHints[error.code ?? ""];
      const why = error.code ?? error.message;
      reject(
        new Error(messages.cannotListen(where, hint === undefined ? why : `${why}: ${hint}`), {
          cause: error,
        }),
      );
    });
    // Workers of a cluster share a configured port. With port 0 they would share a random one, but each asked for its own
    // free one.
    const exclusive = address.port === 0;
    server.listen({ host: address.host, port: address.port, backlog, exclusive }, () => {
      // Later errors are failures to accept (out of file descriptors): the listener lives on.
      server.removeAllListeners("error");
      server.on("error", () => {});
      const bound = server.address() as net.AddressInfo;
      resolve({
        address: { host: bound.address, port: bound.port },
        ...(cluster.isWorker && !exclusive ? { sharedBy: workersOfOurPrimary() } : {}),
        // The port is free at once; the server's own callback waits for the last connection.
        close: async () => void server.close(),
      });
    });
  });
}

/** A text that only the workers of one `node:cluster` primary share: the id of their parent process and its start time. */
export function workersOfOurPrimary(): string {
  const started = startTicks(readStat(process.ppid) ?? "") ?? "";
  const primary = [hostname(), bootId() ?? "", process.ppid, started].join(" ");
  return createHash("sha256").update(primary).digest("hex").slice(0, 16);
}

/** A datagram socket that is connected shows the route the system would take, without a packet leaving. */
function localHostTowards(address: Address): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(net.isIPv6(address.host) ? "udp6" : "udp4");
    const onError = (error: Error): void => {
      socket.close();
      reject(new Error(messages.noRoute(formatAddress(address)), { cause: error }));
    };
    socket.once("error", onError);
    socket.connect(address.port, address.host, () => {
      const local = socket.address().address;
      socket.close();
      resolve(local);
    });
  });
}

/** TCP over `node:net`, IPv4 and IPv6. */
export function tcpTransport(clock: Clock): Transport {
  return {
    connect: (address, options) => connectSocket(tcpTarget(address), options, clock),
    listen,
    localHostTowards,
  };
}
