import type { Address } from "../base/address.js";
import type { Connection, Listener, ListenOptions, Transport } from "../transport/transport.js";

/** The addresses one provider listens on. */
export class Listeners {
  readonly #open: Listener[] = [];

  /** The one callers are told of. */
  get first(): Listener | undefined {
    return this.#open[0];
  }

  get addresses(): Address[] {
    return this.#open.map(({ address }) => address);
  }

  /** In their order. Rejects at the first that cannot be listened on; those before it stay open until `close`. */
  async open(
    transport: Transport,
    addresses: readonly Address[],
    onConnection: (connection: Connection) => void,
    options: ListenOptions,
  ): Promise<Listener> {
    for (const address of addresses) this.#open.push(await transport.listen(address, onConnection, options));
    return this.#open[0] as Listener;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((one) => one.close()));
  }
}
