import { formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import { isSameGroup, type ProviderEntry } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Registration } from "../registry.js";
import { tellLost } from "../view.js";
import type { EtcdConnection } from "./connection.js";
import { KV } from "./gen/rpc.js";
import { type EtcdInstance, instanceKey, instanceValue } from "./layout.js";
import { EtcdLease } from "./lease.js";
import { EtcdRefusal, isLeaseGone, toRegistryError } from "./refusal.js";
import type { EtcdService } from "./service.js";

export interface EtcdRegistrationOptions {
  registration: Registration;
  entry: ProviderEntry;
  /** What all keys begin with; ends in a `/`. */
  folder: string;
  connection: EtcdConnection;
  service: EtcdService;
  deps: Filled<RegistryDeps>;
  ttlMs: number;
  requestTimeoutMs: number;
  /** It is kept up no more and never will be. */
  onOver: () => void;
}

/** What the watch should have shown by now is looked at again. */
const againMs = 1000;
const retryMs = 1000;
/** Permissions are changed by people. */
const deniedRetryMs = 10_000;

/** `superseded`: a newer provider has the address, and we wait for it to go. */
type State = "starting" | "established" | "superseded" | "withdrawing" | "over";

/**
 * One registration: a key bound to a lease of its own, which is kept alive until the registration is withdrawn. Ending the
 * lease takes the key away, and also one that is still being written by a request whose answer was lost.
 *
 *     starting --> established <--> superseded
 *        |              |               |
 *        '--------------+---------------+--> withdrawing --> over
 */
export class EtcdRegistration {
  readonly #options: EtcdRegistrationOptions;
  readonly #key: string;
  readonly #lease: EtcdLease;
  readonly #reconciler: Reconciler;
  readonly #unlisten: () => void;
  readonly #waiting = new Set<() => void>();
  #state: State = "starting";
  /** The lease that the key was last written with. */
  #writtenWith: bigint | undefined;
  /** When etcd is to be told again that we are alive, on the clock. */
  #beatDueMs = 0;
  #failure: RegistryError | undefined;
  #lastWarning = "";

  constructor(options: EtcdRegistrationOptions) {
    this.#options = options;
    const { folder, registration, entry, deps, service, connection, ttlMs, requestTimeoutMs } = options;
    this.#key = instanceKey(folder, registration.service, entry);
    this.#reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#reconcile(),
      onError: (error) => this.#onError(error),
    });
    this.#lease = new EtcdLease({
      ...{ connection, deps, ttlMs, requestTimeoutMs },
      onGone: () => this.#reconciler.trigger(),
      onBroken: () => {
        this.#beatDueMs = 0;
        this.#reconciler.trigger(retryMs);
      },
    });
    this.#unlisten = service.listen(() => this.#onRead());
    if (connection.up) this.#reconciler.trigger();
    service.refresh();
  }

  /** Resolves when callers can see it. Rejects with RegistryError when it never will be seen. */
  async established(): Promise<void> {
    if (this.#state === "starting") await this.#nextState();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What has kept it from being established so far; empty when nothing is known. */
  get trouble(): string {
    return this.#lastWarning;
  }

  /** Resolves when callers no longer see it, or etcd cannot be reached; then it expires. */
  async withdraw(): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "withdrawing";
    this.#reconciler.trigger();
    if (this.#options.connection.up) await this.#nextState();
  }

  onUp(): void {
    this.#lease.stopBeating();
    this.#beatDueMs = 0;
    this.#reconciler.trigger();
  }

  onDown(): void {
    if (this.#state === "withdrawing") this.#tell();
  }

  /** Withdraws it at once, whatever callers see, and ends. Never rejects. */
  async close(): Promise<void> {
    if (this.#state === "starting") this.#failure = new RegistryError("closed", "the registry was closed");
    const over = this.#state === "over";
    this.#state = "over";
    this.#unlisten();
    this.#tell();
    await this.#reconciler.stop();
    if (!over && this.#options.connection.up) await this.#lease.revoke().catch(() => {});
    this.#lease.stopBeating();
  }

  #onRead(): void {
    const { service, registration } = this.#options;
    if (this.#state === "withdrawing" && !service.fresh) this.#tell();
    if (this.#state === "starting" && service.denial !== undefined) {
      // Nobody would ever know whether callers see it.
      const text = `cannot register ${registration.service}: ${service.denial.message}`;
      this.#failure = new RegistryError("denied", text, service.denial);
      this.#tell();
      return;
    }
    this.#reconciler.trigger();
  }

  async #reconcile(): Promise<number | undefined> {
    const { connection, service } = this.#options;
    if (this.#state === "over" || !connection.up) return undefined;
    if (this.#state === "withdrawing") return this.#withdrawn();
    const { mine, newer, rivals } = this.#shown();
    if (this.#state === "superseded") {
      if (rivals.length > 0 || service.recovering) return againMs;
    } else if (newer || (this.#state === "established" && mine === undefined && rivals.length > 0)) {
      return this.#giveWay();
    }
    await this.#keepUp(mine === undefined);
    if ((this.#state as State) === "withdrawing") return 0;
    // What callers see comes with the watch.
    if (mine === undefined) return againMs;
    this.#establish(rivals);
    return Math.max(0, this.#beatDueMs - this.#options.deps.clock.now());
  }

  /** Tells etcd that we are alive when that is due, and writes the key when it is not there. */
  async #keepUp(unseen: boolean): Promise<void> {
    const { connection, deps, entry, ttlMs, requestTimeoutMs } = this.#options;
    const lease = await this.#lease.grant();
    if (unseen || this.#writtenWith !== lease) {
      const request = { key: Buffer.from(this.#key), value: instanceValue(entry), lease };
      try {
        await connection.call(KV.methods.put, request, requestTimeoutMs);
      } catch (error) {
        if (isLeaseGone(error)) this.#lease.forget(lease);
        throw error;
      }
      this.#writtenWith = lease;
    }
    this.#lastWarning = "";
    if (deps.clock.now() < this.#beatDueMs) return;
    await this.#lease.beat();
    this.#beatDueMs = deps.clock.now() + (ttlMs / 3) * (0.9 + 0.1 * deps.random());
  }

  /** What the service shows of our address. */
  #shown(): { mine: EtcdInstance | undefined; rivals: readonly EtcdInstance[]; newer: boolean } {
    const { entry, service } = this.#options;
    const address = formatAddress(entry.address);
    const mine = service.instances?.get(this.#key);
    const rivals = [...(service.instances?.values() ?? [])].filter(
      (one) =>
        one.key !== this.#key &&
        formatAddress(one.entry.address) === address &&
        !isSameGroup(one.entry, entry),
    );
    const newer = mine !== undefined && rivals.some((one) => one.createRevision > mine.createRevision);
    return { mine, rivals, newer };
  }

  #establish(older: readonly EtcdInstance[]): void {
    if (this.#state === "established") return;
    const { registration, entry, deps } = this.#options;
    const facts = { service: registration.service, address: formatAddress(entry.address) };
    if (this.#state === "superseded")
      deps.log.info("the newer provider of our address is gone: registered again", facts);
    this.#state = "established";
    this.#tell();
    // Those of earlier starts that did not end well would be shown again when we leave.
    for (const { key } of older) void this.#sweep(key);
  }

  async #sweep(key: string): Promise<void> {
    const { connection, requestTimeoutMs } = this.#options;
    try {
      await connection.call(KV.methods.deleteRange, { key: Buffer.from(key) }, requestTimeoutMs);
    } catch {
      // It expires.
    }
  }

  /** A newer provider has our address. A start fails of it; one that served waits until the newer one goes. */
  async #giveWay(): Promise<number | undefined> {
    const { registration, entry, deps } = this.#options;
    const before = this.#state;
    await this.#lease.revoke();
    if ((this.#state as State) === "withdrawing") return 0;
    if ((this.#state as State) === "over") return undefined;
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
    return againMs;
  }

  async #withdrawn(): Promise<number | undefined> {
    await this.#lease.revoke();
    const { service } = this.#options;
    // Callers still see it: the watch says when they do not.
    if (service.fresh && this.#shown().mine !== undefined) return againMs;
    this.#finish();
    return undefined;
  }

  #onError(error: unknown): number | undefined {
    const { registration, connection } = this.#options;
    if (!connection.up) {
      if (this.#state === "withdrawing") this.#tell();
      return undefined;
    }
    // A new one is granted.
    if (isLeaseGone(error)) return 0;
    const denied = error instanceof EtcdRefusal && error.denied;
    if (denied && this.#state === "starting") {
      this.#failure = toRegistryError(`cannot register ${registration.service}`, error);
      this.#finish();
      return undefined;
    }
    if (this.#state === "withdrawing") {
      // Nobody waits longer for it than this.
      this.#tell();
      this.#warn("cannot withdraw a registration", error);
    } else this.#warn("cannot keep a registration up", error);
    return denied ? deniedRetryMs : retryMs;
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
    this.#unlisten();
    this.#lease.stopBeating();
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
