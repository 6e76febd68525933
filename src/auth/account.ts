/** A connection as its caller's account sees it. */
export interface AccountedConnection {
  readonly unsentBytes: number;
}

/** What one caller takes of a provider: an identity, or an address whose callers have none. */
export class Account {
  readonly name: string;
  /** Calls with a handler's place, and handlers that go on after their call. */
  inFlight = 0;
  readonly connections = new Set<AccountedConnection>();
  /** Callers that are counted here. */
  users = 0;
  /** When one of them left last. */
  unusedMs = 0;
  #tokens: number | undefined;
  #filledMs = 0;

  constructor(name: string) {
    this.name = name;
  }

  get unreadBytes(): number {
    let bytes = 0;
    for (const { unsentBytes } of this.connections) bytes += unsentBytes;
    return bytes;
  }

  /** Takes one of `perSecond` calls a second; false when none is left. */
  takeCall(perSecond: number, nowMs: number): boolean {
    const most = Math.max(1, perSecond);
    const before = this.#tokens ?? most;
    const gained = ((nowMs - this.#filledMs) / 1000) * perSecond;
    this.#tokens = this.#tokens === undefined ? most : Math.min(most, before + Math.max(0, gained));
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** The host of `host:port`. */
export function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon > 0 && /^\d+$/.test(address.slice(colon + 1)) ? address.slice(0, colon) : address;
}

/** From this part of the whole on, each caller is held to its share. */
const crowdedFrom = 0.75;

/** Whether so much of the whole is taken that shares count. */
export function isCrowded(taken: number, max: number): boolean {
  return taken >= max * crowdedFrom;
}

/** An account nobody uses is kept this long, so that reconnecting does not refill the calls it may make a second, ms. */
const keptMs = 2000;

/** The accounts of all callers of a provider. */
export class Accounts {
  /** Those that nobody uses are kept for a while, since what they had of a second counts on. */
  readonly #keeps: boolean;
  /** In the order in which they were looked at last. */
  readonly #accounts = new Map<string, Account>();
  /** Those that have calls in flight. */
  busy = 0;
  /** Those that have connections. */
  connected = 0;

  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  find(name: string): Account | undefined {
    return this.#accounts.get(name);
  }

  /** The account of that name, with one more user; each `open` needs a `close`. */
  open(name: string, nowMs: number): Account {
    let account = this.#accounts.get(name);
    if (account === undefined) {
      account = new Account(name);
      account.unusedMs = nowMs;
      this.#accounts.set(name, account);
      this.#forgetSome(nowMs);
    }
    account.users++;
    return account;
  }

  close(account: Account, nowMs: number): void {
    account.unusedMs = nowMs;
    if (--account.users === 0 && !this.#keeps) this.#forgetUnused(account);
  }

  /** Two for each that is new: those that nobody uses go sooner than others come. */
  #forgetSome(nowMs: number): void {
    let looked = 0;
    for (const [name, account] of this.#accounts) {
      if (looked++ === 2) return;
      if (account.users === 0 && account.inFlight === 0 && account.unusedMs + keptMs < nowMs) {
        this.#accounts.delete(name);
      } else {
        this.#accounts.delete(name);
        this.#accounts.set(name, account);
      }
    }
  }

  /** Handlers of a caller that is gone may go on: its account stays until they are done. */
  #forgetUnused(account: Account): void {
    if (account.users === 0 && account.inFlight === 0 && this.#accounts.get(account.name) === account)
      this.#accounts.delete(account.name);
  }

  /** A call has a handler's place (1), or gives it back (-1). */
  count(account: Account, by: 1 | -1): void {
    const before = account.inFlight;
    account.inFlight = before + by;
    if (before === 0) this.busy++;
    else if (before + by === 0) {
      this.busy--;
      if (account.users === 0 && !this.#keeps) this.#forgetUnused(account);
    }
  }

  addConnection(account: Account, connection: AccountedConnection): void {
    if (account.connections.size === 0) this.connected++;
    account.connections.add(connection);
  }

  removeConnection(account: Account, connection: AccountedConnection): void {
    if (account.connections.delete(connection) && account.connections.size === 0) this.connected--;
  }

  /** How many of `max` calls one caller may have while others want some too. */
  callShare(max: number, account: Account): number {
    return Math.ceil(max / Math.max(1, this.busy + (account.inFlight === 0 ? 1 : 0)));
  }

  /** How many of `max` connections one caller may have while others want some too. */
  connectionShare(max: number, account: Account): number {
    return Math.ceil(max / Math.max(1, this.connected + (account.connections.size === 0 ? 1 : 0)));
  }
}
