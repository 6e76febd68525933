import { Code, Refusal } from "../common/codes.js";

const windowMs = 15 * 60_000;
/** How long an address that signed in rightly is trusted with its own count. */
const trustedMs = 30 * 24 * 3_600_000;
/** Failures of all strangers to a name together, as a multiple of those of one address. */
const strangersFactor = 10;
const entriesMax = 100_000;

interface Count {
  failures: number;
  endsAtMs: number;
}

/**
 * Counts failed sign-ins. Each address has `failuresMax` a quarter of an hour for a name, so that nobody keeps the owner
 * out by failing from elsewhere. Many addresses together have ten times that, against guessing from a botnet; the addresses
 * the owner signed in from before do not take part in that sum and stay open to her. Counts are kept in memory: a restart forgets
 * them, and of several instances of account each has its own.
 */
export class Attempts {
  readonly #failuresMax: number;
  readonly #nowMs: () => number;
  readonly #byAddress = new Map<string, Count>();
  readonly #byName = new Map<string, Count>();
  readonly #trusted = new Map<string, number>();

  constructor(failuresMax: number, nowMs: () => number = Date.now) {
    this.#failuresMax = failuresMax;
    this.#nowMs = nowMs;
  }

  /**
   * Counts an attempt as failed before its outcome is known; otherwise a hundred at once would all be let through. Throws
   * Refusal (10010) when there were too many. Call one of the two functions it gives when the attempt did not fail.
   */
  begin(username: string, address: string): { succeeded(): void; undo(): void } {
    const key = JSON.stringify([username, network(address)]);
    const own = this.#count(this.#byAddress, key);
    const counts = [own];
    this.#check(own, this.#failuresMax);
    if ((this.#trusted.get(key) ?? 0) <= this.#nowMs()) {
      const all = this.#count(this.#byName, username);
      this.#check(all, this.#failuresMax * strangersFactor);
      counts.push(all);
    }
    for (const count of counts) count.failures++;
    const undo = (): void => {
      for (const count of counts) count.failures = Math.max(0, count.failures - 1);
    };
    const succeeded = (): void => {
      undo();
      own.failures = 0;
      put(this.#trusted, key, this.#nowMs() + trustedMs);
    };
    return { succeeded, undo };
  }

  #count(counts: Map<string, Count>, key: string): Count {
    const known = counts.get(key);
    if (known !== undefined && known.endsAtMs > this.#nowMs()) return known;
    const count = { failures: 0, endsAtMs: this.#nowMs() + windowMs };
    put(counts, key, count);
    return count;
  }

  #check(count: Count, max: number): void {
    if (count.failures < max) return;
    const minutes = Math.max(1, Math.ceil((count.endsAtMs - this.#nowMs()) / 60_000));
    throw new Refusal(
      Code.TOO_MANY,
      `too many failed sign-ins with this user name (account.failures is ${this.#failuresMax} in 15 minutes); try again in ${minutes} min`,
    );
  }
}

/** The oldest entry makes room, so that made-up names cannot fill the memory. */
function put<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= entriesMax) map.delete(oldest);
  map.set(key, value);
}

/** One customer has a whole /64 of IPv6. */
function network(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  const [head = "", tail] = address.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - first.length - last.length)).fill("0");
  return [...first, ...zeros, ...last].slice(0, 4).join(":");
}
