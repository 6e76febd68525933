import { type Address, formatAddress } from "../base/address.js";
import { messages } from "../error/messages.js";
import type {
  Connection,
  ConnectionHandler,
  ConnectionSecurity,
  ConnectOptions,
  Listener,
  Transport,
} from "./transport.js";

/** Bytes buffered for a paused side before `write` at the other side reports back-pressure, like socket buffers. */
const windowBytes = 256 * 1024;

type Event = { kind: "data"; bytes: Buffer } | { kind: "end" } | { kind: "reset" };

class MemoryConnection implements Connection {
  readonly remote: string;
  readonly local: string;
  peer!: MemoryConnection;
  security: ConnectionSecurity | undefined;
  #handler: ConnectionHandler | undefined;
  #inbox: Event[] = [];
  #inboxBytes = 0;
  #paused = false;
  #scheduled = false;
  #closed = false;
  #ended = false;
  #peerEnded = false;
  #awaitingDrain = false;
  #deaf = false;

  constructor(local: string, remote: string) {
    this.local = local;
    this.remote = remote;
  }

  get unwrittenBytes(): number {
    return this.#awaitingDrain ? this.peer.#inboxBytes : 0;
  }

  get closed(): boolean {
    return this.#closed;
  }

  setHandler(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#schedule();
  }

  write(data: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    if (this.peer.#closed) {
      this.#close(new Error("write EPIPE"));
      return true;
    }
    this.peer.#receive({ kind: "data", bytes: Buffer.from(data) });
    this.#awaitingDrain = this.peer.#inboxBytes > windowBytes;
    return !this.#awaitingDrain;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.peer.#receive({ kind: "end" });
    this.#closeWhenBothEnded();
  }

  destroy(error?: Error): void {
    if (this.#closed) return;
    // As TCP does: unread bytes make it a reset; else what was written arrives, and then the end.
    if (this.#inbox.length > 0) this.peer.#receive({ kind: "reset" });
    else if (!this.#ended) this.peer.#receive({ kind: "end" });
    this.#close(error);
  }

  reset(): void {
    if (this.#closed) return;
    this.peer.#receive({ kind: "reset" });
    this.#close(undefined);
  }

  /** Both ends are notified at once, whatever was in flight. */
  cut(): void {
    for (const end of [this, this.peer]) end.#close(new Error(messages.connectionReset));
  }

  /** From now on nothing arrives at either end. */
  drop(): void {
    for (const end of [this, this.peer]) {
      end.#deaf = true;
      end.#inbox = [];
      end.#inboxBytes = 0;
    }
  }

  #receive(event: Event): void {
    if (this.#closed || this.#deaf) return;
    this.#inbox.push(event);
    if (event.kind === "data") this.#inboxBytes += event.bytes.length;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#closed || this.#inbox.length === 0) return;
    if (this.#handler === undefined) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    while (!this.#paused && !this.#closed) {
      const event = this.#inbox.shift();
      if (event === undefined) break;
      if (event.kind === "data") {
        this.#inboxBytes -= event.bytes.length;
        this.#handler?.onData(event.bytes);
        // A socket reuses its memory, so overwrite it: code that kept it instead of copying then fails in tests.
        event.bytes.fill(0xdd);
      } else if (event.kind === "reset") {
        this.#close(new Error(messages.connectionReset));
      } else {
        this.#peerEnded = true;
        this.#handler?.onEnd();
        this.#closeWhenBothEnded();
      }
    }
    const { peer } = this;
    if (peer.#awaitingDrain && this.#inboxBytes <= windowBytes) {
      peer.#awaitingDrain = false;
      peer.#handler?.onDrain();
    }
  }

  #closeWhenBothEnded(): void {
    if (this.#ended && this.#peerEnded) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#inbox = [];
    this.#inboxBytes = 0;
    setImmediate(() => this.#handler?.onClose(error));
  }
}

/** A network inside one process: addresses are names in a table, nothing touches the system. */
export class MemoryNetwork implements Transport {
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  readonly #open = new Set<MemoryConnection>();
  #nextPort = 40_000;

  /**
   * The same network for a user whose connections are confidential and prove `identity` (`secret:web`) to the other end;
   * undefined: no identity. For tests of policies and tokens without certificates.
   */
  as(identity: string | undefined): Transport {
    return {
      connect: (address, options) => this.#connect(address, options, { identity }),
      listen: (address, onConnection) => this.listen(address, onConnection),
      localHostTowards: () => this.localHostTowards(),
      identity,
    };
  }

  connect(address: Address, options: ConnectOptions): Promise<Connection> {
    return this.#connect(address, options, undefined);
  }

  async #connect(
    address: Address,
    options: ConnectOptions,
    proof: { readonly identity: string | undefined } | undefined,
  ): Promise<Connection> {
    const where = formatAddress(address);
    await new Promise((resolve) => setImmediate(resolve));
    if (options.signal?.aborted) {
      throw new Error(messages.connectGivenUp(where), { cause: options.signal.reason });
    }
    const onConnection = this.#listeners.get(where);
    if (onConnection === undefined) throw new Error(messages.cannotConnect(where, "ECONNREFUSED"));
    const clientEnd = formatAddress({ host: "127.0.0.1", port: this.#nextPort++ });
    const client = new MemoryConnection(clientEnd, where);
    const server = new MemoryConnection(where, clientEnd);
    if (proof !== undefined) {
      client.security = { kind: "memory", confidential: true, identity: undefined };
      server.security = { ...client.security, identity: proof.identity };
    }
    client.peer = server;
    server.peer = client;
    for (const one of this.#open) if (one.closed) this.#open.delete(one);
    this.#open.add(client);
    onConnection(server);
    return client;
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const bound = { host: address.host, port: address.port === 0 ? this.#nextPort++ : address.port };
    const where = formatAddress(bound);
    if (this.#listeners.has(where)) throw new Error(messages.cannotListen(where, "EADDRINUSE"));
    this.#listeners.set(where, onConnection);
    return {
      address: bound,
      close: async () => {
        this.#listeners.delete(where);
      },
    };
  }

  async localHostTowards(): Promise<string> {
    return "127.0.0.1";
  }

  /** Cuts every open connection, as a network failure would. */
  cutAll(): void {
    for (const connection of this.#open) connection.cut();
    this.#open.clear();
  }

  /** Makes every open connection silent, like an unplugged cable: nothing arrives, and no end is notified. New connections work. */
  dropAll(): void {
    for (const connection of this.#open) connection.drop();
  }
}
