import type { Address } from "../../src/base/address.js";
import { MemoryNetwork } from "../../src/testing/index.js";
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Listener,
  Transport,
} from "../../src/transport/transport.js";
import { ForwardedConnection } from "../support/forwarded-connection.js";

/** What callers write, or what providers write. */
export type Direction = "request" | "reply";

export const directions: readonly Direction[] = ["request", "reply"];

export interface Cut {
  readonly direction: Direction;
  /** So many bytes of this direction arrive, counted over all connections; the connection of the next one breaks. */
  readonly atByte: number;
  /** `reset`: both ends see a failure. `end`: both see the other finish, as of a peer that was killed. */
  readonly how: "reset" | "end";
}

/** Where in its direction a write began, and how long it was. */
export interface Written {
  readonly from: number;
  readonly sizeBytes: number;
  /** A copy of what was written, while nothing is to be cut. */
  readonly bytes: Buffer | undefined;
}

/** A network in memory that counts what passes, and breaks one connection at one byte. Everything else it leaves alone. */
export class CutNetwork implements Transport {
  readonly #inner = new MemoryNetwork();
  /** Ends of open connections by the caller's address, which is the provider's `remote`. */
  readonly #pairs = new Map<string, Pair>();
  #cut: Cut | undefined;
  #passed: Record<Direction, number> = { request: 0, reply: 0 };
  #written: Record<Direction, Written[]> = { request: [], reply: [] };

  /** Counts anew, and breaks as `cut` says; without one, nothing. */
  arm(cut: Cut | undefined): void {
    this.#cut = cut;
    this.#passed = { request: 0, reply: 0 };
    this.#written = { request: [], reply: [] };
  }

  /** The cut that was asked for has not been made. */
  get due(): boolean {
    return this.#cut !== undefined;
  }

  /** Every write since `arm`. */
  written(direction: Direction): readonly Written[] {
    return this.#written[direction];
  }

  /** Connections of which an end is open. */
  get open(): number {
    return this.#pairs.size;
  }

  async connect(address: Address, options: ConnectOptions): Promise<Connection> {
    const connection = await this.#inner.connect(address, options);
    return new CutConnection(connection, "request", this, this.#pair(connection.local));
  }

  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    return this.#inner.listen(address, (connection) => {
      onConnection(new CutConnection(connection, "reply", this, this.#pair(connection.remote)));
    });
  }

  localHostTowards(): Promise<string> {
    return this.#inner.localHostTowards();
  }

  #pair(caller: string): Pair {
    const known = this.#pairs.get(caller);
    if (known !== undefined) return known;
    const pair: Pair = { ends: [], broken: false, onClosed: () => void this.#pairs.delete(caller) };
    this.#pairs.set(caller, pair);
    return pair;
  }

  /** How much of `data` may still pass; `undefined`: all of it. */
  admit(direction: Direction, data: Uint8Array): { passes: number; how: Cut["how"] } | undefined {
    const from = this.#passed[direction];
    const sizeBytes = data.length;
    this.#passed[direction] = from + sizeBytes;
    const cut = this.#cut;
    this.#written[direction].push({
      from,
      sizeBytes,
      bytes: cut === undefined ? Buffer.from(data) : undefined,
    });
    if (cut === undefined || cut.direction !== direction || cut.atByte >= from + sizeBytes) return undefined;
    this.#cut = undefined;
    return { passes: cut.atByte - from, how: cut.how };
  }
}

interface Pair {
  readonly ends: CutConnection[];
  broken: boolean;
  onClosed(): void;
}

class CutConnection extends ForwardedConnection {
  readonly #direction: Direction;
  readonly #network: CutNetwork;
  readonly #pair: Pair;
  #ended = false;
  #failure: Error | undefined;

  constructor(inner: Connection, direction: Direction, network: CutNetwork, pair: Pair) {
    super(inner);
    this.#direction = direction;
    this.#network = network;
    this.#pair = pair;
    pair.ends.push(this);
  }

  protected override onClose(error: Error | undefined, handler: ConnectionHandler): void {
    this.#ended = true;
    if (this.#pair.ends.every((end) => end.#ended)) this.#pair.onClosed();
    handler.onClose(error ?? this.#failure);
  }

  override write(data: Uint8Array): boolean {
    // What is written on a connection that is broken goes nowhere; its end is under way.
    if (this.#pair.broken || this.inner.closed) return true;
    const cut = this.#network.admit(this.#direction, data);
    if (cut === undefined) return this.inner.write(data);
    this.#pair.broken = true;
    if (cut.passes > 0) this.inner.write(data.subarray(0, cut.passes));
    if (cut.how === "end") for (const end of this.#pair.ends) end.inner.end();
    else {
      this.#failure = new Error("write ECONNRESET");
      // The other end reads what has passed, and then finds the reset.
      this.inner.reset();
    }
    return true;
  }
}
