import type { ProtocolName } from "../call/peer.js";
import type { ClientProtocol } from "../protocol/protocol.js";
import type { Runtime } from "../runtime/runtime.js";
import { clientProtocols } from "./protocols.js";
import { type SecuredEndpoint, Subchannel, type SubchannelOwner, subchannelKey } from "./subchannel.js";

/** How long a provider may take to close its side of a connection that has ended, ms. */
const endWithinMs = 1000;

/** The subchannels of a channel, shared by its services: two services of one provider use the same connections. */
export class SubchannelPool {
  readonly #runtime: Runtime;
  readonly #owner: SubchannelOwner;
  readonly #protocols: ReadonlyMap<ProtocolName, ClientProtocol>;
  readonly #subchannels = new Map<string, { subchannel: Subchannel; users: number }>();
  /** Subchannels that no service uses any more, while their calls in flight end. */
  readonly #retired = new Set<Subchannel>();

  constructor(runtime: Runtime, owner: SubchannelOwner) {
    this.#runtime = runtime;
    this.#protocols = clientProtocols(runtime);
    this.#owner = owner;
  }

  /** The subchannel of `endpoint`, made when new; undefined for an unknown protocol. Each acquire needs a release. */
  acquire(endpoint: SecuredEndpoint): Subchannel | undefined {
    const protocol = this.#protocols.get(endpoint.protocol);
    if (protocol === undefined) return undefined;
    const key = subchannelKey(endpoint);
    let entry = this.#subchannels.get(key);
    if (entry === undefined) {
      entry = {
        subchannel: new Subchannel(endpoint, protocol, this.#runtime, this.#owner),
        users: 0,
      };
      this.#subchannels.set(key, entry);
    } else entry.subchannel.update(endpoint);
    entry.users++;
    return entry.subchannel;
  }

  release(subchannel: Subchannel): void {
    const entry = this.#subchannels.get(subchannel.key);
    if (entry === undefined || --entry.users > 0) return;
    this.#subchannels.delete(subchannel.key);
    for (const one of this.#retired) if (one.idle) this.#retired.delete(one);
    this.#retired.add(subchannel);
    subchannel.retire();
  }

  /** Ends every connection once its written data has been sent; those that do not end in time are closed with `reason`. */
  async close(reason: string): Promise<void> {
    const subchannels = [
      ...this.#retired,
      ...[...this.#subchannels.values()].map(({ subchannel }) => subchannel),
    ];
    this.#subchannels.clear();
    this.#retired.clear();
    for (const subchannel of subchannels) subchannel.retire();
    const ended = Promise.all(subchannels.map((subchannel) => subchannel.whenIdle()));
    await new Promise<void>((resolve) => {
      // Connections alone do not keep the process alive, but awaiting this must.
      const timer = this.#runtime.clock.setTimer(resolve, endWithinMs, true);
      void ended.then(() => {
        timer.cancel();
        resolve();
      });
    });
    for (const subchannel of subchannels) subchannel.destroy(reason);
  }
}
