import cluster from "node:cluster";
import { lstatSync } from "node:fs";
import { lstat, mkdir, rename, stat, unlink } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { type Address, formatAddress, withoutScheme } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import {
  backlog,
  connectSocket,
  Inlet,
  SocketConnection,
  type SocketEnds,
  withInlet,
  workersOfOurPrimary,
} from "./tcp.js";
import type { Connection, ConnectOptions, Listener, Transport } from "./transport.js";

/** Longest path in the system's `sockaddr_un`, without the final 0: 108 on Linux, 104 on macOS and BSD. */
const pathMaxBytes = process.platform === "linux" ? 107 : 103;
/** Permission bits that must not be set: others may not enter the folder, and the group may not write to it. */
const openToOthers = 0o027;
/** How long a process may take from binding its socket to listening on it, ms. */
const listensWithinMs = 50;
/** Time limit of the probe, ms: a living process answers at once. */
const probeMs = 1000;

function endsOf(where: string): SocketEnds {
  // Node cannot ask the system who the other process is, so this means any process that can open the path.
  return { local: where, remote: where, security: { kind: "unix", confidential: true, identity: where } };
}

function checkLength(socketPath: string, fail: (why: string) => Error): void {
  const bytes = Buffer.byteLength(socketPath);
  if (bytes > pathMaxBytes) throw fail(messages.unixPathTooLong(bytes, pathMaxBytes));
}

/**
 * Whoever may write to the registry could name a socket of his own, and would be sent what is meant for the provider. Right before
 * connecting, so that little time is left to put another one there.
 */
function checkOwner(socketPath: string, fail: (why: string) => Error): void {
  const own = process.getuid?.();
  if (own === undefined) return;
  let uid: number;
  try {
    // A symbolic link counts as its owner's.
    ({ uid } = lstatSync(socketPath));
  } catch (error) {
    throw fail((error as NodeJS.ErrnoException).code ?? textOf(error));
  }
  if (uid !== own && uid !== 0) throw fail(messages.unixSocketOfOther(uid));
}

async function connect(address: Address, options: ConnectOptions, clock: Clock): Promise<Connection> {
  const where = formatAddress(address);
  const socketPath = withoutScheme(address);
  const fail = (why: string): Error => new Error(messages.cannotConnect(where, why));
  checkLength(socketPath, fail);
  if (options.ownSocket === true) checkOwner(socketPath, fail);
  const target = {
    where,
    open: (onread?: Inlet) =>
      net.connect({ path: socketPath, allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) }),
    ends: endsOf(where),
  };
  return connectSocket(target, options, clock);
}

/** Makes the folder of a socket when it is missing. Throws unless only this user can write to it. */
async function checkFolder(folder: string, fail: (why: string, cause?: unknown) => Error): Promise<void> {
  try {
    // Created with its final mode, so that nobody can enter before a chmod.
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(folder);
    const own = process.getuid?.();
    if (own !== undefined && uid !== own && uid !== 0) throw fail(messages.unixFolderOfOther(folder, uid));
    if (own !== undefined && (mode & openToOthers) !== 0) {
      throw fail(messages.unixFolderOpen(folder, (mode & 0o7777).toString(8)));
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : fail(`${code}: ${messages.unixFolderUnusable(folder)}`, error);
  }
}

type Holder = "living" | "dead" | "gone";

/** Whether a process listens on the socket at `socketPath`. */
function probe(socketPath: string, clock: Clock): Promise<Holder> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: socketPath });
    const end = (holder: Holder): void => {
      timer.cancel();
      socket.on("error", () => {});
      socket.destroy();
      resolve(holder);
    };
    // A process whose backlog is full does not answer, but is alive.
    const timer = clock.setTimer(() => end("living"), probeMs, true);
    socket.once("connect", () => end("living"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      end(code === "ECONNREFUSED" ? "dead" : code === "ENOENT" ? "gone" : "living"),
    );
  });
}

/**
 * Removes the socket that a dead process left at `socketPath`. Throws when it is not a socket, or its process is alive. The file
 * is moved aside and checked again: another process may have created its own since the probe.
 */
async function takeOver(socketPath: string, clock: Clock, fail: (why: string) => Error): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw fail(messages.unixPathTaken);
  let holder = await probe(socketPath, clock);
  if (holder === "dead") {
    await new Promise<void>((resolve) => void clock.setTimer(resolve, listensWithinMs, true));
    holder = await probe(socketPath, clock);
  }
  if (holder === "living") throw fail(messages.unixSocketInUse);
  if (holder === "gone") return;
  const aside = path.join(path.dirname(socketPath), `.${process.pid.toString(36)}`);
  try {
    await rename(socketPath, aside);
  } catch (error) {
    // Another process removed it.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = await lstat(aside);
  if (moved.ino !== found.ino || moved.dev !== found.dev) {
    await rename(aside, socketPath);
    throw fail(messages.unixSocketInUse);
  }
  await unlink(aside);
}

/** Takes over the socket of a dead process; retries if others do so at the same time. */
const attemptsMax = 5;

async function listen(
  address: Address,
  onConnection: (connection: Connection) => void,
  clock: Clock,
): Promise<Listener> {
  const where = formatAddress(address);
  const socketPath = withoutScheme(address);
  const fail = (why: string, cause?: unknown): Error =>
    new Error(messages.cannotListen(where, why), cause === undefined ? undefined : { cause });
  checkLength(socketPath, fail);
  await checkFolder(path.dirname(socketPath), fail);
  for (let attempt = 1; ; attempt++) {
    try {
      return await bind(address, onConnection);
    } catch (error) {
      const { code = (error as Error).message } = error as NodeJS.ErrnoException;
      if (code !== "EADDRINUSE" || attempt === attemptsMax) throw fail(code, error);
    }
    await takeOver(socketPath, clock, fail);
  }
}

/** Rejects with the system's error. */
function bind(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
  const ends = endsOf(formatAddress(address));
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      const inlet = new Inlet();
      onConnection(new SocketConnection(withInlet(socket, inlet), inlet, ends));
    });
    server.once("error", reject);
    server.listen({ path: withoutScheme(address), backlog }, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      resolve({
        address,
        ...(cluster.isWorker ? { sharedBy: workersOfOurPrimary() } : {}),
        // Node removes the file with it.
        close: async () => void server.close(),
      });
    });
  });
}

/** Stream sockets of this machine at a path (`unix:/path`), for processes of one user. Not on Windows. */
export function unixTransport(clock: Clock): Transport {
  return {
    connect: (address, options) => connect(address, options, clock),
    listen: (address, onConnection) => listen(address, onConnection, clock),
    localHostTowards: async () => "127.0.0.1",
  };
}
