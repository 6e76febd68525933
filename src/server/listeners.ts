import { randomBytes } from "node:crypto";
import { type Address, formatAddress, schemeOf, withoutScheme } from "../base/address.js";
import { messages } from "../error/messages.js";
import type { LocalProvider, LocalProviders } from "../protocol/inproc/local-providers.js";
import type { Connection, Listener, ListenOptions, Transport } from "../transport/transport.js";

export interface ListenersOptions extends ListenOptions {
  readonly transport: Transport;
  readonly local: LocalProviders | undefined;
  onConnection(connection: Connection): void;
  /** What channels of this process connect to. */
  readonly provider: LocalProvider;
}

/** The addresses one provider listens on. */
export class Listeners {
  readonly #open: Listener[] = [];
  #withdraw: (() => void) | undefined;

  /** The published address. */
  get first(): Listener | undefined {
    return this.#open[0];
  }

  get addresses(): Address[] {
    return this.#open.map(({ address }) => address);
  }

  /** The first unix socket besides the published address, if there is one. */
  get unixBeside(): Address | undefined {
    const [first, ...others] = this.addresses;
    if (first === undefined || schemeOf(first) !== "tcp") return undefined;
    return others.find((address) => schemeOf(address) === "unix");
  }

  /** In their order. Rejects at the first that cannot be listened on; those before it stay open until `close`. */
  async open(addresses: readonly Address[], options: ListenersOptions): Promise<Listener> {
    for (const address of addresses) {
      const inProcess = schemeOf(address) === "inproc";
      const { transport, onConnection } = options;
      const listening = inProcess ? meet(address, options) : transport.listen(address, onConnection, options);
      this.#open.push(await listening);
    }
    return this.#open[0] as Listener;
  }

  /** Channels of this process may call it without the network. */
  offer(advertised: Address, local: LocalProviders, provider: LocalProvider): void {
    this.#withdraw = local.add(formatAddress(advertised), provider);
  }

  async close(): Promise<void> {
    this.#withdraw?.();
    await Promise.all(this.#open.map((one) => one.close()));
  }
}

/** Opens no socket: registers a provider of that name, or of a generated one, within the process. */
function meet(wanted: Address, { local, provider }: ListenersOptions): Listener {
  const named = withoutScheme(wanted) !== "";
  const address = { host: named ? wanted.host : `inproc:${randomBytes(8).toString("hex")}`, port: 0 };
  const where = formatAddress(address);
  if (local === undefined) throw new Error(messages.cannotListen(where, messages.inprocOff));
  if (local.has(where)) throw new Error(messages.cannotListen(where, messages.inprocTaken));
  const withdraw = local.add(where, provider);
  return { address, close: async () => withdraw() };
}
