import { formatAddress } from "../../base/address.js";
import { isSameGroup } from "../entry.js";
import { KeptRegistration, type KeptRegistrationParts, type Shown } from "../served/registration.js";
import { KV } from "./gen/rpc.js";
import { type EtcdInstance, instanceKey, instanceValue } from "./layout.js";
import { EtcdLease } from "./lease.js";
import { isDenied, isLeaseGone } from "./refusal.js";
import type { EtcdOwn, EtcdService } from "./service.js";

/** Until a broken stream of beats is made anew. */
const beatsAgainMs = 1000;

/**
 * One registration: a key bound to a lease of its own, which is kept alive until the registration is withdrawn. Ending the
 * lease takes the key away, and also one that is still being written by a request whose answer was lost.
 */
export class EtcdRegistration extends KeptRegistration<EtcdService, EtcdInstance> {
  readonly #own: EtcdOwn;
  readonly #key: string;
  readonly #lease: EtcdLease;
  /** The lease that the key was last written with. */
  #writtenWith: bigint | undefined;

  constructor(parts: KeptRegistrationParts<EtcdService>, own: EtcdOwn) {
    super(parts);
    this.#own = own;
    this.#key = instanceKey(own.folder, parts.registration.service, parts.entry);
    this.#lease = new EtcdLease({
      ...{ connection: own.connection, requestTimeoutMs: own.requestTimeoutMs },
      ...{ deps: parts.deps, ttlMs: parts.ttlMs },
      onGone: () => this.reconciler.trigger(),
      onBroken: () => {
        this.beatDueMs = 0;
        this.reconciler.trigger(beatsAgainMs);
      },
    });
  }

  protected override begin(): void {
    this.#lease.stopBeating();
    this.beatDueMs = 0;
  }

  /** Tells etcd that we are alive when that is due, and writes the key when it is not there. */
  protected override async keepUp(unseen: boolean): Promise<void> {
    const { connection, requestTimeoutMs } = this.#own;
    const { deps, entry } = this.parts;
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
    if (deps.clock.now() < this.beatDueMs) return;
    await this.#lease.beat();
    this.beatAgain();
  }

  protected override shown(): Shown<EtcdInstance> {
    const { entry, service } = this.parts;
    const address = formatAddress(entry.address);
    const mine = service.instances?.get(this.#key);
    const rivals = [...(service.instances?.values() ?? [])].filter(
      (one) =>
        one.key !== this.#key &&
        formatAddress(one.entry.address) === address &&
        !isSameGroup(one.entry, entry),
    );
    const newer = mine !== undefined && rivals.some((one) => one.createRevision > mine.createRevision);
    return { mine: mine !== undefined, rivals, newer };
  }

  protected override async sweep({ key }: EtcdInstance): Promise<void> {
    const { connection, requestTimeoutMs } = this.#own;
    await connection.call(KV.methods.deleteRange, { key: Buffer.from(key) }, requestTimeoutMs);
  }

  protected override takeAway(): Promise<void> {
    return this.#lease.revoke();
  }

  protected override end(): void {
    this.#lease.stopBeating();
  }

  protected override isDenied(error: unknown): boolean {
    return isDenied(error);
  }

  /** The lease is gone: a new one is granted. */
  protected override isPassing(error: unknown): boolean {
    return isLeaseGone(error);
  }
}
