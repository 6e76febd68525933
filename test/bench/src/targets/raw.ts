import { once } from "node:events";
import net from "node:net";
import type { Meter } from "../meter.js";
import { connectReading, startEcho } from "../sockets.js";
import type { Caller, Load, Provider, Target } from "../target.js";

/**
 * The limit: a framed echo over `node:net` with no RPC. Fixed code, not to be tuned: the caller writes all newly allowed
 * frames in one write, from where they always lie; the provider writes what it has read from where it was read to. Nothing is copied,
 * and no buffer is made while it runs.
 */

/** Length prefix and header: what an mprpc/2 frame of a small call has before its body. */
const headerBytes = 16;

export const frameBytesOf = (payloadBytes: number) => headerBytes + payloadBytes;

async function startProvider(): Promise<Provider> {
  let bytes = 0;
  const { server, port } = await startEcho((count) => {
    bytes += count;
  });
  return {
    endpoint: String(port),
    served: (payloadBytes) => bytes / frameBytesOf(payloadBytes),
    close: async () => void server.close(),
  };
}

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** The frames of a window: what one write sends is a slice of it. */
export function framesOf({ payloadBytes, inFlight }: Load): Buffer {
  const frameBytes = frameBytesOf(payloadBytes);
  const frames = Buffer.alloc(frameBytes * inFlight);
  for (let at = 0; at < frames.length; at += frameBytes) frames.writeUInt32LE(frameBytes - 4, at);
  return frames;
}

/** When each write happened and how many frames of it are still out; a write has at least one frame. */
class Writes {
  readonly #startMs: Float64Array;
  readonly #frames: Int32Array;
  #first = 0;
  #last = 0;

  constructor(inFlight: number) {
    this.#startMs = new Float64Array(inFlight);
    this.#frames = new Int32Array(inFlight);
  }

  push(startMs: number, frames: number): void {
    this.#startMs[this.#last] = startMs;
    this.#frames[this.#last] = frames;
    this.#last = (this.#last + 1) % this.#frames.length;
  }

  /** Takes `frames` off, oldest first, and records their latencies. */
  complete(frames: number, nowMs: number, meter: Meter): void {
    let rest = frames;
    while (rest > 0) {
      const out = this.#frames[this.#first] ?? 0;
      const taken = Math.min(rest, out);
      const latencyMs = nowMs - (this.#startMs[this.#first] ?? nowMs);
      for (let samples = meter.samplesOf(taken); samples > 0; samples -= 1) meter.record(latencyMs);
      this.#frames[this.#first] = out - taken;
      if (taken === out) this.#first = (this.#first + 1) % this.#frames.length;
      rest -= taken;
    }
  }
}

interface Connection {
  readonly socket: net.Socket;
  /** What is done with the number of bytes of each read. */
  onRead: (count: number) => void;
}

/** Keeps `inFlight` frames going while `meter.running`; resolves when the last one is back. */
export function drive(connection: Connection, meter: Meter, load: Load): Promise<void> {
  const frameBytes = frameBytesOf(load.payloadBytes);
  const frames = framesOf(load);
  const writes = new Writes(load.inFlight);
  const { socket } = connection;
  let outstanding = 0;
  let partBytes = 0;
  const write = (count: number) => {
    outstanding += count;
    writes.push(performance.now(), count);
    socket.write(frames.subarray(0, count * frameBytes));
  };
  return new Promise((resolve, reject) => {
    connection.onRead = (count) => {
      const bytes = partBytes + count;
      const complete = Math.floor(bytes / frameBytes);
      partBytes = bytes - complete * frameBytes;
      if (complete === 0) return;
      writes.complete(complete, performance.now(), meter);
      outstanding -= complete;
      meter.completed += complete;
      if (meter.running) {
        write(complete);
      } else if (outstanding === 0) {
        socket.off("error", reject);
        resolve();
      }
    };
    socket.on("error", reject);
    write(load.inFlight);
  });
}

async function startCaller(endpoint: string): Promise<Caller> {
  const port = Number(endpoint);
  const connection: Connection = {
    onRead: () => {},
    socket: connectReading(port, (count) => connection.onRead(count)),
  };
  await once(connection.socket, "connect");
  const idle: net.Socket[] = [];
  return {
    drive: (meter, load) => drive(connection, meter, load),
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const one = await connect(port);
        idle.push(one);
        one.write("frame");
        await once(one, "data");
      }
    },
    async close() {
      for (const one of [connection.socket, ...idle]) one.destroy();
    },
  };
}

export const target: Target = { startProvider, startCaller };
