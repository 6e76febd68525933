import type { Address } from "../../src/base/address.js";
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Transport,
} from "../../src/transport/transport.js";
import { ForwardedConnection } from "../support/forwarded-connection.js";

/** What went over one connection, as its caller saw it. */
export interface Tapped {
  readonly sent: Buffer[];
  readonly received: Buffer[];
}

class TappedConnection extends ForwardedConnection {
  readonly #tape: Tapped;

  constructor(inner: Connection, tape: Tapped) {
    super(inner);
    this.#tape = tape;
  }

  protected override onData(chunk: Buffer, handler: ConnectionHandler): void {
    this.#tape.received.push(Buffer.from(chunk));
    handler.onData(chunk);
  }

  override write(data: Uint8Array): boolean {
    this.#tape.sent.push(Buffer.from(data));
    return this.inner.write(data);
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
