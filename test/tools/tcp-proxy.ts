import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP proxy that can fail the ways a network does: swallow everything in silence, in one direction or both, be slow, or
 * cut a connection in the middle of a message.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  /** No byte passes, and no end either. */
  #blackHole = false;
  /** What the client sends arrives; what it is answered does not. */
  #deaf = false;
  /** Connections are ended as soon as they are there. */
  #refusing = false;
  #delayMs = 0;
  /** Whose bytes are left unread. */
  readonly #unread = new Set<"client" | "upstream">();
  /** Bytes are passed so many at a time. */
  #pieceBytes = Infinity;
  /** Bytes still passed to the client before its connection is cut; `undefined`: no cut is due. */
  #cutAfterBytes: number | undefined;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#accept(client, targetPort));
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
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

  /** How many connections are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** True: connections stay open and new ones are accepted, but no byte passes either way, and no end either. */
  setBlackHole(blackHole: boolean): void {
    this.#blackHole = blackHole;
    if (blackHole) return;
    // What was sent meanwhile is lost, so these streams are of no use any more, as after a real partition.
    this.cut();
  }

  /** True: requests pass and are carried out, and no answer comes back. False heals it, as for a black hole. */
  setDeaf(deaf: boolean): void {
    this.#deaf = deaf;
    if (!deaf) this.cut();
  }

  /** True: cuts every connection now, for both sides, and each new one. */
  setRefusing(refusing: boolean): void {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  /** What is sent from now on arrives that much later, either way. */
  setDelay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** False: leaves unread what the clients, or the provider, send, as a slow reader does, who makes the sender wait. */
  setReading(from: "clients" | "provider", reading: boolean): void {
    const side = from === "clients" ? "client" : "upstream";
    if (reading) this.#unread.delete(side);
    else this.#unread.add(side);
    for (const pair of this.#pairs) {
      if (reading) pair[side].resume();
      else pair[side].pause();
    }
  }

  /** What is sent from now on arrives so many bytes at a time, as from a slow writer. */
  setPieces(pieceBytes: number): void {
    this.#pieceBytes = pieceBytes;
  }

  /** Cuts the connection that next receives more than `bytes` bytes, after exactly that many. */
  cutAfter(bytes: number): void {
    this.#cutAfterBytes = bytes;
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const { client, upstream } of [...this.#pairs]) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, targetPort: number): void {
    if (this.#refusing) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(targetPort, "127.0.0.1");
    const pair = { client, upstream };
    this.#pairs.add(pair);
    client.setNoDelay();
    upstream.setNoDelay();
    for (const side of this.#unread) pair[side].pause();
    client.on("data", (chunk) => {
      if (!this.#blackHole) this.#later(() => this.#write(chunk, client, upstream));
    });
    upstream.on("data", (chunk) => {
      if (!this.#blackHole && !this.#deaf) this.#later(() => this.#pass(chunk, upstream, client));
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        if (!this.#blackHole) to.destroy();
      });
    }
  }

  /** Timers of one delay fire in their order, so the bytes keep theirs. */
  #later(pass: () => void): void {
    if (this.#delayMs === 0) pass();
    else setTimeout(pass, this.#delayMs);
  }

  /** A piece in each turn, so that each is read by itself; nothing more is read meanwhile. */
  #write(chunk: Buffer, from: Socket, to: Socket): void {
    if (chunk.length <= this.#pieceBytes) {
      to.write(chunk);
      return;
    }
    to.write(chunk.subarray(0, this.#pieceBytes));
    from.pause();
    setImmediate(() => {
      from.resume();
      this.#write(chunk.subarray(this.#pieceBytes), from, to);
    });
  }

  #pass(chunk: Buffer, from: Socket, client: Socket): void {
    const due = this.#cutAfterBytes;
    if (due === undefined || chunk.length <= due) {
      this.#write(chunk, from, client);
      return;
    }
    this.#cutAfterBytes = undefined;
    client.write(chunk.subarray(0, due), () => client.resetAndDestroy());
  }
}
