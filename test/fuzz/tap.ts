import type { Address } from "../../src/base/endpoint.js";
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Transport,
} from "../../src/transport/transport.js";

/** What went over one connection, as its caller saw it. */
export interface Tapped {
  readonly sent: Buffer[];
  readonly received: Buffer[];
}

class TappedConnection implements Connection {
  readonly #inner: Connection;
  readonly #tape: Tapped;

  constructor(inner: Connection, tape: Tapped) {
    this.#inner = inner;
    this.#tape = tape;
  }

  get remote(): string {
    return this.#inner.remote;
  }

  get local(): string {
    return this.#inner.local;
  }

  get unwrittenBytes(): number {
    return this.#inner.unwrittenBytes;
  }

  get closed(): boolean {
    return this.#inner.closed;
  }

  setHandler(handler: ConnectionHandler): void {
    this.#inner.setHandler({
      onData: (chunk) => {
        this.#tape.received.push(Buffer.from(chunk));
        handler.onData(chunk);
      },
      onEnd: () => handler.onEnd(),
      onDrain: () => handler.onDrain(),
      onClose: (error) => handler.onClose(error),
    });
  }

  write(data: Uint8Array): boolean {
    this.#tape.sent.push(Buffer.from(data));
    return this.#inner.write(data);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(error?: Error): void {
    this.#inner.destroy(error);
  }

  reset(): void {
    this.#inner.reset();
  }
}

/** A transport that keeps a copy of what its callers say and hear, one tape a connection. */
export class TapTransport implements Transport {
  readonly tapes: Tapped[] = [];
  readonly #inner: Transport;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  async connect(address: Address, options: ConnectOptions): Promise<Connection> {
    const tape: Tapped = { sent: [], received: [] };
    this.tapes.push(tape);
    return new TappedConnection(await this.#inner.connect(address, options), tape);
  }

  listen: Transport["listen"] = (address, onConnection) => this.#inner.listen(address, onConnection);
  localHostTowards: Transport["localHostTowards"] = (address) => this.#inner.localHostTowards(address);
}
