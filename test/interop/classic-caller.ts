import { once } from "node:events";
import net from "node:net";
import { guarded } from "../tools/wait.js";

export interface ClassicOutcome {
  /** Everything the provider sent. */
  reply: Buffer;
  /** `fin`: a clean end; `reset`: RST, which a C++ caller sees as an error. */
  end: "fin" | "reset";
}

/** A caller of the classic framework: bytes out, bytes in, nothing understood. */
export class ClassicCaller {
  readonly socket: net.Socket;
  #received = Buffer.alloc(0);
  #end: "fin" | "reset" | undefined;
  #wake = (): void => {};

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on("end", () => {
      this.#end ??= "fin";
      this.#wake();
    });
    socket.on("error", () => {
      this.#end ??= "reset";
      this.#wake();
    });
  }

  static async connect(port: number): Promise<ClassicCaller> {
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return new ClassicCaller(socket);
  }

  get received(): Buffer {
    return this.#received;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  async until(what: string, test: () => boolean): Promise<void> {
    const met = async (): Promise<void> => {
      while (!test()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await guarded(met(), what, () => `${this.#received.toString("hex")}, end: ${this.#end}`);
  }

  /** Waits for `length` bytes; the connection stays open. */
  async reply(length: number): Promise<Buffer> {
    await this.until(`${length} bytes of reply`, () => this.#received.length >= length || this.ended);
    return this.#received;
  }

  /** Waits for the end of the connection. */
  async outcome(): Promise<ClassicOutcome> {
    await this.until("the end of the connection", () => this.ended);
    this.socket.destroy();
    return { reply: this.#received, end: this.#end as "fin" | "reset" };
  }

  destroy(): void {
    this.socket.destroy();
  }
}
