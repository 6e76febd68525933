import { once } from "node:events";
import net from "node:net";

/** Length, header and a body of 20 bytes: what a small call takes on the wire of mprpc/2. */
export const rawFrameBytes = 36;
/** Frames one write can have. */
const framesMax = 4096;
const frames = Buffer.alloc(rawFrameBytes * framesMax);

/** A socket to a raw echo, used as a connection of calls: a frame each way, many at a time, those of one turn in one write. */
export class RawConnection {
  readonly #socket: net.Socket;
  readonly #waiting: Array<() => void> = [];
  #unwritten = 0;
  #bytes = 0;
  readonly #flush = (): void => {
    while (this.#unwritten > 0) {
      const count = Math.min(this.#unwritten, framesMax);
      this.#unwritten -= count;
      this.#socket.write(frames.subarray(0, count * rawFrameBytes));
    }
  };

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#bytes += chunk.length;
      for (; this.#bytes >= rawFrameBytes; this.#bytes -= rawFrameBytes) this.#waiting.shift()?.();
    });
  }

  static async open(host: string, port: number): Promise<RawConnection> {
    const socket = net.connect({ host, port, noDelay: true });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  call(): Promise<void> {
    if (this.#unwritten === 0) process.nextTick(this.#flush);
    this.#unwritten += 1;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
