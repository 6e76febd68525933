import { leftFactor } from "../../../auth/account.js";

/** Memory that the streams of one connection may fill, or those of all connections of a provider. */
export class StreamBudget {
  protected readonly maxBytes: number;
  readonly #parents: readonly StreamBudget[];
  #used = 0;

  /** `parents`: the budgets that it is a part of, which must have room as well. */
  constructor(maxBytes: number, ...parents: readonly StreamBudget[]) {
    this.maxBytes = maxBytes;
    this.#parents = parents;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    let free = Math.max(0, this.maxBytes - this.#used);
    for (const parent of this.#parents) free = Math.min(free, parent.free);
    return free;
  }

  /** False when there is no room for so many bytes, and then nothing has changed. */
  reserve(bytes: number): boolean {
    if (bytes > this.free) return false;
    this.force(bytes);
    return true;
  }

  /** The same for room beyond the minimum: it leaves half of the budget for later streams. */
  reserveSpare(bytes: number): boolean {
    if (!this.#hasSpare(bytes)) return false;
    this.force(bytes);
    return true;
  }

  #hasSpare(bytes: number): boolean {
    if (this.#used + bytes > this.maxBytes / 2) return false;
    return this.#parents.every((parent) => parent.#hasSpare(bytes));
  }

  /** Takes the bytes even if there is no room. */
  force(bytes: number): void {
    this.#used += bytes;
    for (const parent of this.#parents) parent.force(bytes);
  }

  release(bytes: number): void {
    this.#used -= bytes;
    for (const parent of this.#parents) parent.release(bytes);
  }
}

/** The memory of all connections of a provider, of which each caller gets a share. */
export class SharedBudget extends StreamBudget {
  readonly #shares = new WeakMap<object, StreamBudget>();

  /** The share of a caller: of its account. */
  shareOf(account: object): StreamBudget {
    let share = this.#shares.get(account);
    if (share === undefined) {
      share = new CallerShare(this, this.maxBytes);
      this.#shares.set(account, share);
    }
    return share;
  }
}

/** What one caller has of the memory of all: no more than three times what is left for others. */
class CallerShare extends StreamBudget {
  readonly #all: SharedBudget;

  constructor(all: SharedBudget, maxBytes: number) {
    super((maxBytes * leftFactor) / (leftFactor + 1), all);
    this.#all = all;
  }

  override get free(): number {
    const { free } = this.#all;
    return Math.min(free, Math.max(0, Math.floor((free * leftFactor - this.used) / (leftFactor + 1))));
  }
}

/** The memory of one connection, for each of its callers within its share. */
export class ConnectionBudget {
  readonly #own: StreamBudget;
  readonly #shared: SharedBudget;
  #lastAccount: object | undefined;
  #last!: StreamBudget;

  constructor(maxBytes: number, shared: SharedBudget) {
    this.#own = new StreamBudget(maxBytes);
    this.#shared = shared;
  }

  /** For the calls of the caller with this account. */
  of(account: object): StreamBudget {
    if (account !== this.#lastAccount) {
      this.#lastAccount = account;
      this.#last = new StreamBudget(Number.POSITIVE_INFINITY, this.#own, this.#shared.shareOf(account));
    }
    return this.#last;
  }
}
