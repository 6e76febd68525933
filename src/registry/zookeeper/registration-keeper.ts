import { formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { decodeEntry, encodeEntry, isSameGroup, type ProviderEntry } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Registration } from "../registry.js";
import { tellLost } from "../view.js";
import { ClassicZnodes } from "./classic.js";
import { hasCode } from "./connection.js";
import { hasClassicPath, isNumericIPv4, makePath, orMissing, providersPath } from "./layout.js";
import type { ZooKeeperSession } from "./session.js";

export interface ProviderOptions {
  session: ZooKeeperSession;
  registration: Registration;
  entry: ProviderEntry;
  deps: Filled<RegistryDeps>;
  /** It is over for good: withdrawn, or given up. */
  onOver: () => void;
}

/** Our own znodes are checked this often even if no watch fires. */
const auditMs = 10_000;
const retryMs = 1000;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;

/**
 * `superseded`: a newer provider has the address, and we wait for it to go. `withdrawing`: asked to go, and our znodes may
 * still be there.
 */
type ProviderState = "starting" | "established" | "superseded" | "withdrawing" | "over";

/**
 * One registration in ZooKeeper, kept up until it is withdrawn, and out of the way while a newer provider has its address:
 *
 *     starting --> established --> withdrawing --> over
 *        |            |    ^            ^           ^
 *        |            v    |            |           |
 *        |          superseded ---------'           |
 *        '---- refused, or a newer one is there ----'
 */
export class ServiceProvider {
  readonly #options: ProviderOptions;
  readonly #folder: string;
  readonly #name: string;
  /** How every entry of our address begins. */
  readonly #addressPrefix: string;
  readonly #classic: ClassicZnodes | undefined;
  readonly #reconciler: Reconciler;
  readonly #waiting = new Set<() => void>();
  #state: ProviderState = "starting";
  #failure: RegistryError | undefined;
  /** So that a lasting failure is logged once per session. */
  #lastWarning = "";

  constructor(options: ProviderOptions) {
    const { session, registration, entry, deps } = options;
    this.#options = options;
    this.#folder = providersPath(registration.service);
    this.#name = encodeEntry(entry);
    this.#addressPrefix = encodeURIComponent(`${formatAddress(entry.address)}?`);
    this.#classic = this.#makeClassic();
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#reconcile(),
      onError: (error) => this.#onError(error),
    });
    if (session.connected) this.#reconciler.trigger();
  }

  /** Resolves when the entry exists. Rejects with RegistryError when it never will. */
  async established(): Promise<void> {
    if (this.#state === "starting") await this.#nextState();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Why it is not established yet; empty when unknown. */
  get trouble(): string {
    return this.#lastWarning;
  }

  /** Resolves when our znodes are gone, or ZooKeeper cannot be reached; then they go when it can, or expire. */
  async withdraw(): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "withdrawing";
    this.#reconciler.trigger();
    if (this.#options.session.connected) await this.#nextState();
  }

  onSession(): void {
    this.#lastWarning = "";
    this.#reconciler.trigger();
  }

  onSuspended(): void {
    if (this.#state === "withdrawing") this.#tell();
  }

  /** The session is over: what was to be withdrawn is gone with it. */
  onLost(): void {
    if (this.#state === "withdrawing") this.#finish();
  }

  onChanged(path: string): void {
    const ours = path === `${this.#folder}/${this.#name}` || this.#classic?.concerns(path);
    const theirs = this.#state === "superseded" && path.startsWith(`${this.#folder}/`);
    if (ours || theirs) this.#reconciler.trigger();
  }

  async close(): Promise<void> {
    if (this.#state === "starting") this.#failure = new RegistryError("closed", "the registry was closed");
    this.#state = "over";
    this.#tell();
    await this.#reconciler.stop();
  }

  #makeClassic(): ClassicZnodes | undefined {
    const { session, registration, entry, deps } = this.#options;
    const { service, methods, address, protocols } = registration;
    const classic = protocols?.includes("classic") ?? true;
    if (!classic || methods.length === 0) return undefined;
    if (!isNumericIPv4(address.host) || !hasClassicPath(service)) {
      const reason = hasClassicPath(service)
        ? "its address is not numeric IPv4"
        : "its short name is reserved";
      deps.log.info("C++ callers cannot find this service", {
        service,
        address: formatAddress(address),
        reason,
      });
      return undefined;
    }
    return new ClassicZnodes({
      session,
      service,
      methods,
      address,
      incarnation: entry.incarnation,
      sharesAddress: entry.group !== undefined,
      log: deps.log,
    });
  }

  async #reconcile(): Promise<number | undefined> {
    if (this.#state === "over" || !this.#options.session.connected) return undefined;
    if (this.#state !== "withdrawing") {
      const newer = !(await this.#ensureEntry());
      if (newer) return this.#giveWay();
      await this.#ensureClassic();
    }
    // Withdrawn meanwhile: then what was just made sure of goes again.
    if ((this.#state as ProviderState) === "withdrawing") {
      await this.#remove();
      this.#finish();
      return undefined;
    }
    this.#establish();
    return auditMs * (0.9 + 0.2 * this.#options.deps.random());
  }

  #establish(): void {
    if (this.#state === "superseded") {
      const { registration, entry, deps } = this.#options;
      const facts = { service: registration.service, address: formatAddress(entry.address) };
      deps.log.info("the newer provider of our address is gone: registered again", facts);
    }
    this.#state = "established";
    this.#tell();
  }

  /** mprpc callers do not need the classic znodes, so a failure to write them is only a warning. */
  async #ensureClassic(): Promise<void> {
    try {
      await this.#classic?.ensure();
    } catch (error) {
      if (hasCode(error, "CONNECTION_LOSS", "SESSION_EXPIRED")) throw error;
      this.#warn("cannot write the znodes C++ callers read", error);
    }
  }

  /** False when a newer provider has our address. */
  async #ensureEntry(): Promise<boolean> {
    const { session } = this.#options;
    const names = await orMissing(session.children(this.#folder));
    if (names === undefined) await makePath(session, this.#folder);
    const rivals = (names ?? []).filter((name) => this.#isRival(name));
    if (this.#state === "superseded" && (await this.#watchAny(rivals))) return false;
    const path = `${this.#folder}/${this.#name}`;
    const stat = await session.exists(path, true);
    if (stat?.ephemeralOwner !== session.id) {
      // Older incarnations were swept when we first registered, so one that is here now came later.
      if (this.#state === "established" && rivals.length > 0) return false;
      await (stat === undefined ? this.#create(path) : this.#replace(path));
    }
    return this.#settle(path);
  }

  /** Whether any of them is there; the watch left tells when it goes. */
  async #watchAny(names: readonly string[]): Promise<boolean> {
    const { session } = this.#options;
    const stats = await Promise.all(names.map((name) => session.exists(`${this.#folder}/${name}`, true)));
    return stats.some((stat) => stat !== undefined);
  }

  /** Ours of the last session, which the server has not let go of yet: moved in one step, so that no caller misses it. */
  async #replace(path: string): Promise<void> {
    try {
      await this.#options.session.multi([
        { remove: path, version: -1 },
        { create: path, options: { access: "owned", ephemeral: true } },
      ]);
    } catch (error) {
      if (!hasCode(error, "NO_NODE")) throw error;
      await this.#create(path);
    }
  }

  async #create(path: string): Promise<void> {
    const { session } = this.#options;
    try {
      await session.create(path, { access: "owned", ephemeral: true });
    } catch (error) {
      // Ours already: the answer to an earlier create was lost.
      if (!hasCode(error, "NODE_EXISTS")) throw error;
    }
  }

  /** Removes older incarnations of our address, now that ours is established. False when there is a newer one. */
  async #settle(path: string): Promise<boolean> {
    const { session } = this.#options;
    const rivals = (await session.children(this.#folder)).filter((name) => this.#isRival(name));
    const [mine, ...others] = await Promise.all([
      session.exists(path, true),
      ...rivals.map((name) => session.exists(`${this.#folder}/${name}`)),
    ]);
    // Removed again already: the watch fires, and the next run sees to it.
    if (mine === undefined) return true;
    if (others.some((other) => other !== undefined && other.czxid > mine.czxid)) return false;
    await Promise.all(rivals.map((name) => this.#sweep(name)));
    return true;
  }

  async #sweep(name: string): Promise<void> {
    const older = decodeEntry(name);
    if (older !== undefined) await this.#classic?.sweep(older.incarnation);
    await orMissing(this.#options.session.remove(`${this.#folder}/${name}`));
  }

  /** Another incarnation of our address. Only those are decoded: with many providers that would be most of the work. */
  #isRival(name: string): boolean {
    if (!name.startsWith(this.#addressPrefix) || name === this.#name) return false;
    const { entry } = this.#options;
    if (entry.group === undefined) return true;
    const other = decodeEntry(name);
    return other === undefined || !isSameGroup(other, entry);
  }

  /** A newer provider has our address. A start fails; an established provider waits until the newer one leaves. */
  async #giveWay(): Promise<number | undefined> {
    const { registration, entry, deps } = this.#options;
    const before = this.#state;
    await this.#remove();
    // Withdrawn meanwhile: nothing of it is left.
    if (this.#state === "withdrawing") return 0;
    if (before === "superseded") return auditMs;
    const text = `${formatAddress(entry.address)} of ${registration.service} was registered by a newer provider`;
    const reason = new RegistryError("superseded", text);
    if (before === "starting") {
      this.#failure = reason;
      this.#finish();
      return undefined;
    }
    this.#state = "superseded";
    deps.log.warn("a registration gave way; it is made again when the newer one goes", {
      ...{ service: registration.service, reason: text },
    });
    tellLost(registration, reason, deps.log);
    // To leave a watch on the newer one.
    return 0;
  }

  async #remove(): Promise<void> {
    await this.#classic?.withdraw();
    await orMissing(this.#options.session.remove(`${this.#folder}/${this.#name}`));
  }

  #onError(error: unknown): number | undefined {
    // The next `session` event triggers a run.
    if (hasCode(error, "CONNECTION_LOSS", "SESSION_EXPIRED")) return undefined;
    const { registration } = this.#options;
    if (hasCode(error, "NO_AUTH") && this.#state === "starting") {
      const text = `no permission in ZooKeeper (${error.message}); give the credentials of the providers, [zookeeper] auth=user:password in the conf`;
      this.#failure = new RegistryError("denied", `cannot register ${registration.service}: ${text}`, error);
      this.#finish();
      return undefined;
    }
    if (this.#state === "withdrawing") {
      // The wait for it ends here. But the entry lives as long as our session, so the removal is retried.
      this.#tell();
      this.#warn("cannot withdraw a registration", error);
      return retryMs;
    }
    this.#warn("cannot keep a registration up", error);
    return hasCode(error, "NO_AUTH") ? deniedRetryMs : retryMs;
  }

  #warn(what: string, error: unknown): void {
    const { registration, deps } = this.#options;
    const text = reasonOf(error);
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    deps.log.warn(what, { service: registration.service, error: text });
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#options.onOver();
    this.#tell();
  }

  #nextState(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
