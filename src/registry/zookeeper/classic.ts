import type { Address } from "../../base/address.js";
import { formatAddress } from "../../base/address.js";
import type { Logger } from "../../log/logger.js";
import { hasCode, type Znode } from "./connection.js";
import {
  classicPath,
  decodeClassicAddress,
  electionPath,
  encodeClassicAddress,
  makePath,
  orMissing,
} from "./layout.js";
import type { ZooKeeperSession } from "./session.js";

export interface ClassicOptions {
  session: ZooKeeperSession;
  service: string;
  methods: readonly string[];
  address: Address;
  incarnation: string;
  /** Other processes share our address, so a znode with it may be a living one's. It is taken over when it disappears. */
  sharesAddress: boolean;
  log: Logger;
}

/** Races with other providers end after one or two rounds; more rounds mean that something else keeps changing the znode. */
const attemptsMax = 5;
const sequenceDigits = 10;

/**
 * The classic znodes of one service, `/<ShortName>/<Method>`: there is one of each and many providers, so the providers
 * elect an owner. The lowest candidate owns all of them; each other candidate watches only the one before it. A znode
 * of a C++ provider is left alone and watched, and taken over when it disappears. Where forks keep the method persistent, with a
 * child for each instance, each mprpc provider adds a child.
 */
export class ClassicZnodes {
  readonly #options: ClassicOptions;
  readonly #candidatePrefix: string;
  /** The znodes that are ours by method, as of the last look. */
  readonly #owned = new Map<string, string>();
  /** Methods whose znode is persistent: each instance has a child of its own there, whoever is elected. */
  readonly #beside = new Set<string>();
  readonly #foreign = new Set<string>();
  #candidate: string | undefined;
  /** The session in which leftovers of our address were replaced. */
  #sweptSession: bigint | undefined;

  constructor(options: ClassicOptions) {
    this.#options = options;
    this.#candidatePrefix = `${options.incarnation}-`;
  }

  /** Whether a change at `path` may be relevant. */
  concerns(path: string): boolean {
    const { service } = this.#options;
    return path.startsWith(`${electionPath(service)}/`) || path.startsWith(`${classicPath(service)}/`);
  }

  /** Takes part in the election, and maintains the method znodes if elected. Sets a watch on what it waits for. */
  async ensure(): Promise<void> {
    const { session, service, methods } = this.#options;
    if (!(await this.#isElected())) {
      await Promise.all([...this.#beside].map((method) => this.#ensureChild(method)));
      if (this.#sweptSession === session.id) return;
      await Promise.all(methods.map((method) => this.#replaceLeftover(method)));
      this.#sweptSession = session.id;
      return;
    }
    await makePath(session, classicPath(service));
    await Promise.all(methods.map((method) => this.#ensureMethod(method)));
  }

  /** Removes the candidate of an older incarnation of our address, whose session may live on for a while. */
  async sweep(incarnation: string): Promise<void> {
    const { session, service } = this.#options;
    const folder = electionPath(service);
    const candidates = (await orMissing(session.children(folder))) ?? [];
    const older = candidates.filter((name) => name.startsWith(`${incarnation}-`));
    await Promise.all(older.map((name) => orMissing(session.remove(`${folder}/${name}`))));
  }

  /** Removes what is ours; called before the provider's own entry is removed. */
  async withdraw(): Promise<void> {
    const { session, service } = this.#options;
    const ours = [...this.#owned.values()].map(async (path) => {
      const stat = await session.exists(path);
      if (stat !== undefined && stat.ephemeralOwner === session.id) await orMissing(session.remove(path));
    });
    await Promise.all(ours);
    this.#owned.clear();
    if (this.#candidate === undefined) return;
    await orMissing(session.remove(`${electionPath(service)}/${this.#candidate}`));
    this.#candidate = undefined;
  }

  async #isElected(): Promise<boolean> {
    const { session, service } = this.#options;
    const folder = electionPath(service);
    for (;;) {
      const candidates = (await this.#stand()).sort((a, b) => (sequenceOf(a) < sequenceOf(b) ? -1 : 1));
      const before = candidates[candidates.indexOf(this.#candidate ?? "") - 1];
      if (before === undefined) return true;
      if ((await session.exists(`${folder}/${before}`, true)) !== undefined) return false;
    }
  }

  /** Makes sure that exactly one candidate of this session is ours, and answers with all candidates. */
  async #stand(): Promise<string[]> {
    const { session, service } = this.#options;
    const folder = electionPath(service);
    const candidates = await orMissing(session.children(folder));
    if (candidates === undefined) await makePath(session, folder);
    const mine = (candidates ?? []).filter((name) => name.startsWith(this.#candidatePrefix));
    let kept: string | undefined;
    for (const name of mine) {
      const stat = await session.exists(`${folder}/${name}`);
      // One may be left of our last session, or of a create whose answer was lost.
      if (kept === undefined && stat?.ephemeralOwner === session.id) kept = name;
      else await orMissing(session.remove(`${folder}/${name}`));
    }
    if (kept !== undefined) {
      this.#candidate = kept;
      const others = (candidates ?? []).filter((name) => !mine.includes(name));
      return [kept, ...others];
    }
    const path = await session.create(`${folder}/${this.#candidatePrefix}`, {
      ...{ access: "owned" as const, ephemeral: true, sequential: true },
    });
    this.#candidate = path.slice(folder.length + 1);
    return session.children(folder);
  }

  async #ensureMethod(method: string): Promise<void> {
    const path = this.#pathOf(method);
    const node = await this.#ensureNode(method, path);
    if (node === undefined) return;
    if (await this.#keepsChildren(path, node)) await this.#ensureChild(method);
    else this.#leaveAlone(method, node);
  }

  /** Makes the znode at `path` ours. Returns the existing one if it is not ours. */
  async #ensureNode(method: string, path: string): Promise<Znode | undefined> {
    const { session } = this.#options;
    const data = encodeClassicAddress(this.#options.address);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const node = await orMissing(session.getData(path, true));
      if (node === undefined) {
        if (await this.#create(path, data)) this.#setOwned(method, path);
        // Read again, now that it exists, to leave the watch.
        continue;
      }
      if (node.stat.ephemeralOwner === session.id) {
        this.#setOwned(method, path);
        if (node.data.equals(data)) return undefined;
        await orMissing(session.setData(path, data));
        continue;
      }
      if (!this.#isOurAddress(node)) return node;
      await this.#takeOver(path, data, node);
    }
    return undefined;
  }

  /** Whether providers are children of this znode. A persistent one with an address and no child was put there by hand. */
  async #keepsChildren(path: string, { data, stat }: Znode): Promise<boolean> {
    if (stat.ephemeralOwner !== 0n) return false;
    if (decodeClassicAddress(data) === undefined) return true;
    return ((await orMissing(this.#options.session.children(path))) ?? []).length > 0;
  }

  /** Our child under a persistent method. Both its name and its data are our address: forks read one or the other. */
  async #ensureChild(method: string): Promise<void> {
    this.#beside.add(method);
    try {
      await this.#ensureNode(method, `${this.#pathOf(method)}/${formatAddress(this.#options.address)}`);
    } catch (error) {
      if (!hasCode(error, "NO_NODE", "NO_CHILDREN_FOR_EPHEMERALS")) throw error;
      // The method is no longer persistent, or gone.
      this.#beside.delete(method);
    }
  }

  /** Our address of an earlier session is valid again, and must not vanish when that session expires. */
  async #replaceLeftover(method: string): Promise<void> {
    const { session, address } = this.#options;
    const path = this.#pathOf(method);
    const node = await orMissing(session.getData(path));
    if (node === undefined) return this.#setOwned(method, undefined);
    if (await this.#keepsChildren(path, node)) return this.#ensureChild(method);
    const ours = node.stat.ephemeralOwner === session.id;
    this.#setOwned(method, ours ? path : undefined);
    if (ours || !this.#isOurAddress(node)) return;
    await this.#takeOver(path, encodeClassicAddress(address), node);
    this.#setOwned(method, path);
  }

  #pathOf(method: string): string {
    return `${classicPath(this.#options.service)}/${method}`;
  }

  async #create(path: string, data: Buffer): Promise<boolean> {
    try {
      await this.#options.session.create(path, { data, access: "open", ephemeral: true });
      return true;
    } catch (error) {
      if (hasCode(error, "NODE_EXISTS")) return false;
      throw error;
    }
  }

  /** Whether it was left by an earlier session of ours. */
  #isOurAddress({ data, stat }: Znode): boolean {
    if (this.#options.sharesAddress) return false;
    const address = decodeClassicAddress(data);
    const same = address !== undefined && formatAddress(address) === formatAddress(this.#options.address);
    // A persistent one was created by hand, and must not be removed.
    return same && stat.ephemeralOwner !== 0n;
  }

  /** Our address of an earlier session: replaced in one step, so that no C++ caller finds it missing. */
  async #takeOver(path: string, data: Buffer, { stat }: Znode): Promise<void> {
    const { session } = this.#options;
    try {
      // The client cannot compare version 0 in a multi, which is the version of a znode nobody wrote to since.
      const bumped = await session.setData(path, data, stat.version);
      await session.multi([
        { remove: path, version: bumped.version },
        { create: path, options: { data, access: "open", ephemeral: true } },
      ]);
    } catch (error) {
      if (!hasCode(error, "BAD_VERSION", "NO_NODE", "NODE_EXISTS")) throw error;
    }
  }

  #leaveAlone(method: string, { data }: Znode): void {
    this.#setOwned(method, undefined);
    if (this.#foreign.has(method)) return;
    this.#foreign.add(method);
    const address = decodeClassicAddress(data);
    this.#options.log.info("another provider owns a classic znode; taking over when it goes", {
      ...{ path: this.#pathOf(method), address: address && formatAddress(address) },
    });
  }

  #setOwned(method: string, path: string | undefined): void {
    if (path === undefined) this.#owned.delete(method);
    else {
      this.#owned.set(method, path);
      this.#foreign.delete(method);
    }
  }
}

/** Names differ in their prefix, so they are ordered by the digits ZooKeeper appended. */
function sequenceOf(candidate: string): string {
  return candidate.slice(-sequenceDigits);
}
