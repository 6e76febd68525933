import { once } from "node:events";
import net from "node:net";

/**
 * Sockets of the raw targets. They read into buffers that are used again (Node's `onread`): without it Node makes, cuts and
 * collects a buffer for every read, and at 64 KiB a message that is most of what an echo does.
 */

/** Of one read. With less, a frame of 64 KiB takes two. */
const readBytes = 256 * 1024;

interface ReadBuffer {
  readonly bytes: Buffer;
  /** Nothing that was read into it is being written any more. */
  readonly written: () => void;
}

/** Of the first reads of a socket: until one is full, it is not worth more. Thousands of idle sockets have one each. */
const firstReadBytes = 64;

/** Buffers to read into. One that is still being written waits; when all are, another is made. */
class ReadBuffers {
  readonly #free: ReadBuffer[] = [];
  /** What the system reads into, or has read into last. */
  current = makeBuffer(firstReadBytes, this.#free);
  #readBytes = firstReadBytes;

  readonly next = (): Buffer => {
    this.current = this.#free.pop() ?? makeBuffer(this.#readBytes, this.#free);
    return this.current.bytes;
  };

  /** What the last read has filled of `current`. */
  take(count: number): Buffer {
    if (count === firstReadBytes) this.#readBytes = readBytes;
    return this.current.bytes.subarray(0, count);
  }
}

/** It goes to `free` when it has been written. The small ones of the beginning go nowhere. */
function makeBuffer(size: number, free: ReadBuffer[]): ReadBuffer {
  const made: ReadBuffer = {
    bytes: Buffer.allocUnsafeSlow(size),
    written: size === readBytes ? () => void free.push(made) : () => {},
  };
  return made;
}

interface SocketInternals extends net.SocketConstructorOpts {
  handle: unknown;
  onread: net.OnReadOpts;
}

/** An accepted socket that reads as `onread` says, which Node offers only for sockets one makes: the system's handle moves to one. */
function readingSocket(accepted: net.Socket, onread: net.OnReadOpts): net.Socket {
  const shell = accepted as unknown as { _handle: object | null };
  const options: SocketInternals = { handle: shell._handle, onread };
  shell._handle = null;
  return new net.Socket(options).setNoDelay(true);
}

async function listening(server: net.Server): Promise<{ server: net.Server; port: number }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as net.AddressInfo).port };
}

/** What is done with the bytes of a socket; they are valid until it returns. */
export type OnRead = (bytes: Buffer, socket: net.Socket) => void;

/** A server that does with what comes what `onAccept` says of each socket. */
export function startServer(onAccept: () => OnRead): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    const onRead = onAccept();
    const socket = readingSocket(accepted, {
      buffer,
      callback: (count) => {
        onRead(buffer.subarray(0, count), socket);
        return true;
      },
    });
    socket.on("error", () => socket.destroy());
    socket.resume();
  });
  return listening(server);
}

/** A server that writes what comes, from where it was read to. `onBytes` is told how many. */
export function startEcho(onBytes: (count: number) => void): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const buffers = new ReadBuffers();
    const socket = readingSocket(accepted, {
      buffer: buffers.next,
      callback: (count) => {
        const { written } = buffers.current;
        onBytes(count);
        socket.write(buffers.take(count), written);
        return true;
      },
    });
    socket.on("error", () => socket.destroy());
    socket.resume();
  });
  return listening(server);
}

/** `onRead` gets the number of bytes: what a caller gets back it does not look at. */
export function connectReading(port: number, onRead: (count: number) => void): net.Socket {
  const onread: net.OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback: (count) => {
      onRead(count);
      return true;
    },
  };
  return net.connect({ host: "127.0.0.1", port, noDelay: true, onread });
}
