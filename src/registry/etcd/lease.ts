import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import type { SessionStream } from "./calls.js";
import type { EtcdConnection } from "./connection.js";
import { Lease } from "./gen/rpc.js";
import { isLeaseGone } from "./refusal.js";

export interface EtcdLeaseOptions {
  connection: EtcdConnection;
  deps: Filled<RegistryDeps>;
  ttlMs: number;
  requestTimeoutMs: number;
  /** It is gone: what was bound to it is, too. */
  onGone: () => void;
  /** The stream of beats broke, and a new one should be made. */
  onBroken: () => void;
}

type BeatStream = SessionStream<typeof Lease.methods.leaseKeepAlive>;

/**
 * A lease, which etcd ends with all that is bound to it unless it hears of us within its time to live. Whoever owns it says
 * when to beat.
 */
export class EtcdLease {
  readonly #options: EtcdLeaseOptions;
  #id: bigint | undefined;
  #stream: BeatStream | undefined;
  /** Beats that were not answered on the stream. */
  #unanswered = 0;

  constructor(options: EtcdLeaseOptions) {
    this.#options = options;
  }

  /** `undefined`: there is none now. */
  get id(): bigint | undefined {
    return this.#id;
  }

  /** The lease there is, or a new one. */
  async grant(): Promise<bigint> {
    if (this.#id !== undefined) return this.#id;
    const { connection, ttlMs, requestTimeoutMs } = this.#options;
    const request = { TTL: Math.ceil(ttlMs / 1000) };
    const { ID, error } = await connection.call(Lease.methods.leaseGrant, request, requestTimeoutMs);
    if (error !== "") throw new Error(error);
    this.#id = ID;
    return ID;
  }

  /** Tells etcd that we are alive. What it answers is heard later. */
  async beat(): Promise<void> {
    const id = this.#id;
    if (id === undefined) return;
    const { connection } = this.#options;
    if (this.#stream !== undefined && this.#unanswered > 0) {
      // The member has had a third of the time to live.
      connection.suspect();
      this.stopBeating();
    }
    if (this.#stream === undefined) {
      const stream = await connection.stream(Lease.methods.leaseKeepAlive);
      this.#stream = stream;
      this.#unanswered = 0;
      void this.#listen(stream);
    }
    this.#unanswered += 1;
    this.#stream.send({ ID: id });
  }

  /** Another connection needs another stream. */
  stopBeating(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Ends it, and with it all that is bound to it, also what is still on its way. Resolves when that is done. */
  async revoke(): Promise<void> {
    const id = this.#id;
    if (id === undefined) return;
    const { connection, requestTimeoutMs } = this.#options;
    try {
      await connection.call(Lease.methods.leaseRevoke, { ID: id }, requestTimeoutMs);
    } catch (error) {
      if (!isLeaseGone(error)) throw error;
    }
    this.forget(id);
  }

  /** It is known to be gone. */
  forget(id: bigint): void {
    if (this.#id !== id) return;
    this.#id = undefined;
    this.stopBeating();
  }

  async #listen(stream: BeatStream): Promise<void> {
    try {
      for await (const { ID, TTL } of stream.replies) {
        if (stream !== this.#stream) return;
        this.#unanswered = 0;
        if (TTL > 0n || ID !== this.#id) continue;
        this.forget(ID);
        this.#options.onGone();
        return;
      }
    } catch (error) {
      this.#options.connection.explain(error);
    }
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    this.#options.onBroken();
  }
}
