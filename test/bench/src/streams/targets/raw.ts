import type net from "node:net";
import type { Meter } from "../../meter.js";
import { connectReading, type OnRead, startEcho, startServer } from "../../sockets.js";
import { drive as driveEcho, frameBytesOf, framesOf } from "../../targets/raw.js";
import type { StreamCaller, StreamLoad, StreamProvider, StreamTarget } from "../target.js";

/**
 * The limit: frames over one `node:net` socket with no RPC. One way they leave in writes of 64 KiB or of one frame, from where
 * they always lie; there and back it is the raw echo, with the outstanding messages of all streams. Frames belong to no
 * stream, so 64 streams are only more of them.
 */

const writeBytes = 64 * 1024;

/** The first byte of a connection says which way its frames go, the next four their payload. */
const opening = { toCaller: 1, toProvider: 2 };
const openingBytes = 5;

/** Keeps the socket writing while `isWanted`, then calls `onEnd`. */
function pump(socket: net.Socket, payloadBytes: number, isWanted: () => boolean, onEnd: () => void): void {
  const inFlight = Math.max(1, Math.floor(writeBytes / frameBytesOf(payloadBytes)));
  const frames = framesOf({ payloadBytes, inFlight });
  // Two writes under way: one is with the system while the other is made ready.
  let writes = 2;
  const write = () => {
    if (isWanted() && !socket.destroyed) socket.write(frames, () => setImmediate(write));
    else if (--writes === 0) onEnd();
  };
  write();
  write();
}

async function startProvider(): Promise<StreamProvider> {
  let bytes = 0;
  const flows = await startServer((): OnRead => {
    let direction = 0;
    return (chunk, socket) => {
      if (direction === opening.toProvider) bytes += chunk.length;
      if (direction !== 0) return;
      // Nothing else is sent until the answer to it is in.
      direction = chunk.readUInt8(0);
      if (direction === opening.toCaller)
        pump(
          socket,
          chunk.readUInt32LE(1),
          () => true,
          () => {},
        );
      else socket.write("go");
    };
  });
  const echo = await startEcho(() => {});
  return {
    endpoint: `${flows.port} ${echo.port}`,
    received: (payloadBytes) => bytes / frameBytesOf(payloadBytes),
    async close() {
      for (const { server } of [flows, echo]) server.close();
    },
  };
}

function driveFlow(port: number, meter: Meter, { kind, payloadBytes }: StreamLoad): Promise<void> {
  const frameBytes = frameBytesOf(payloadBytes);
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const onRead = (count: number) => {
      if (kind === "client") {
        pump(
          socket,
          payloadBytes,
          () => meter.running,
          () => socket.end(),
        );
        return;
      }
      bytes += count;
      meter.completed += Math.floor(bytes / frameBytes);
      bytes %= frameBytes;
      if (!meter.running) socket.destroy();
    };
    const socket = connectReading(port, onRead);
    socket.on("error", reject).on("close", () => resolve());
    const head = Buffer.alloc(openingBytes);
    head.writeUInt8(kind === "client" ? opening.toProvider : opening.toCaller);
    head.writeUInt32LE(payloadBytes, 1);
    socket.write(head);
  });
}

async function startCaller(endpoint: string): Promise<StreamCaller> {
  const [flowPort = 0, echoPort = 0] = endpoint.split(" ").map(Number);
  const connection = {
    onRead: (_count: number) => {},
    socket: connectReading(echoPort, (count) => connection.onRead(count)),
  };
  return {
    drive(meter, load) {
      if (load.kind !== "bidi") return driveFlow(flowPort, meter, load);
      const inFlight = (load.outstanding ?? 1) * load.streams;
      return driveEcho(connection, meter, { payloadBytes: load.payloadBytes, inFlight });
    },
    close: async () => void connection.socket.destroy(),
  };
}

export const target: StreamTarget = { startProvider, startCaller };
