/** A connection as its caller's account sees it. */
export interface AccountedConnection {
  readonly unsentBytes: number;
}

/** What one caller uses of a provider. A caller is an identity, or an address if its callers have no identity. */
export class Account {
  readonly name: string;
  /** Calls in flight, and handlers that still run after their call has ended. */
  inFlight = 0;
  /** Calls on its connections whose requests or callers are not known yet. */
  arriving = 0;
  /** Open streams of built-in services. */
  builtinStreams = 0;
  /** Authenticators that look at tokens of its connections. */
  checks = 0;
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

/** Above this part of the limit each caller is held to its share. */
const crowdedFrom = 0.75;

/** A caller that found everything taken counts for this long, ms, so that what becomes free does not go to those who have the most. */
const wantsMs = 1000;
/** So many of them are remembered. */
const wantingMax = 1024;

/** Whether so much of the limit is used that shares apply. */
export function isCrowded(taken: number, max: number): boolean {
  return taken >= max * crowdedFrom;
}

/**
 * Whether one that has `own` may have one more of `max`, of which `taken` are taken. Nobody has more than three times of what is left:
 * one alone takes three quarters, and however many there are, something is left for the next.
 */
export function leavesSome(own: number, taken: number, max: number): boolean {
  return own < (max - taken) * leftFactor;
}

/** The part that makes three quarters of one alone. */
export const leftFactor = crowdedFrom / (1 - crowdedFrom);

/** An unused account is kept this long, ms, so that reconnecting does not refill its calls per second. */
const keptMs = 2000;

/** The accounts of all callers of a provider. */
export class Accounts {
  /** Unused accounts are kept for a while, since their calls of the last second still count. */
  readonly #keeps: boolean;
  /** In the order in which they were looked at last. */
  readonly #accounts = new Map<string, Account>();
  /** Those that have calls in flight. */
  busy = 0;
  /** Those without one that found everything taken, and when, in this order. */
  readonly #wanting = new Map<Account, number>();
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

  /** Checks two accounts for each new one, so that unused accounts are removed faster than new ones are added. */
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

  /** Handlers of a disconnected caller may still run: its account stays until they have finished. */
  #forgetUnused(account: Account): void {
    if (account.users === 0 && account.inFlight === 0 && this.#accounts.get(account.name) === account)
      this.#accounts.delete(account.name);
  }

  /** A call starts to count (1), or stops counting (-1). */
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

  /** All calls were taken when this caller wanted to make one. */
  want(account: Account, nowMs: number): void {
    if (account.inFlight > 0 || (this.#wanting.size >= wantingMax && !this.#wanting.has(account))) return;
    this.#wanting.delete(account);
    this.#wanting.set(account, nowMs);
  }

  /** How many others want to make a call and have none. */
  #others(account: Account, nowMs: number): number {
    for (const [one, sinceMs] of this.#wanting) {
      if (one.inFlight === 0 && sinceMs + wantsMs > nowMs) continue;
      this.#wanting.delete(one);
    }
    return this.#wanting.size - (this.#wanting.has(account) ? 1 : 0);
  }

  /** How many of `max` calls one caller may have while others need some. */
  callShare(max: number, account: Account, nowMs: number): number {
    const own = account.inFlight === 0 ? 1 : 0;
    return Math.ceil(max / Math.max(1, this.busy + own + this.#others(account, nowMs)));
  }

  /** How many of `max` connections one caller may have: they stay, so others must find room beside the only one there is. */
  connectionShare(max: number, account: Account): number {
    const callers = this.connected + (account.connections.size === 0 ? 1 : 0);
    return Math.ceil(callers > 1 ? max / callers : max * crowdedFrom);
  }
}
