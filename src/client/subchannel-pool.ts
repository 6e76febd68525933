import type { FoundDialect } from "../protocol/classic/classic-client.js";
import type { Endpoint } from "../registry/registry.js";
import type { Runtime } from "../runtime/runtime.js";
import { Peer, type PeerOwner, peerKey } from "./subchannel.js";

/** How long a provider may take to close its side of a connection that has ended, ms. */
const endWithinMs = 1000;
/** Classic providers whose dialects are remembered, beyond the time they are in the list. */
const rememberedMax = 1024;

/** The peers of a channel, shared by its services: two services of one provider use the same connections. */
export class PeerPool {
  readonly #runtime: Runtime;
  readonly #owner: PeerOwner;
  readonly #peers = new Map<string, { peer: Peer; users: number }>();
  /** Peers no service uses any more, whose calls in flight are ending. */
  readonly #retired = new Set<Peer>();

  /** What was found out of classic providers, by their peers' keys. */
  readonly #found = new Map<string, FoundDialect>();

  constructor(runtime: Runtime, owner: PeerOwner) {
    this.#runtime = runtime;
    this.#owner = owner;
  }

  /** The peer of `endpoint`, made when new. Each acquire wants a release. */
  acquire(endpoint: Endpoint): Peer {
    const key = peerKey(endpoint);
    let entry = this.#peers.get(key);
    if (entry === undefined) {
      entry = { peer: new Peer(endpoint, this.#runtime, this.#owner, this.#foundOf(key)), users: 0 };
      this.#peers.set(key, entry);
    }
    entry.users++;
    return entry.peer;
  }

  #foundOf(key: string): FoundDialect {
    let found = this.#found.get(key);
    if (found === undefined) {
      if (this.#found.size >= rememberedMax) this.#found.clear();
      found = { dialect: undefined };
      this.#found.set(key, found);
    }
    return found;
  }

  release(peer: Peer): void {
    const entry = this.#peers.get(peer.key);
    if (entry === undefined || --entry.users > 0) return;
    this.#peers.delete(peer.key);
    for (const one of this.#retired) if (one.idle) this.#retired.delete(one);
    this.#retired.add(peer);
    peer.retire();
  }

  /** Ends every connection when what was written on it has left; `reason` is for those that do not end in time. */
  async close(reason: string): Promise<void> {
    const peers = [...this.#retired, ...[...this.#peers.values()].map(({ peer }) => peer)];
    this.#peers.clear();
    this.#retired.clear();
    for (const peer of peers) peer.retire();
    const ended = Promise.all(peers.map((peer) => peer.whenIdle()));
    await new Promise<void>((resolve) => {
      // Connections alone do not keep the process alive; whoever awaits this wants to see the end of it.
      const timer = this.#runtime.clock.setTimer(resolve, endWithinMs, true);
      void ended.then(() => {
        timer.cancel();
        resolve();
      });
    });
    for (const peer of peers) peer.destroy(reason);
  }
}
