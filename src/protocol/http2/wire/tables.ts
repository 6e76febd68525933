import { HeaderField } from "./header-field.js";

/** RFC 7541 appendix A, from 1: name, value. */
const staticPairs: ReadonlyArray<readonly [name: string, value: string]> = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

export const staticCount = 61;

/** By index, from 1. */
export const staticFields: ReadonlyArray<HeaderField | undefined> = [
  undefined,
  ...staticPairs.map(([name, value]) => new HeaderField(name, value)),
];

/** The first index with a name, and the index of a name with a value. */
export const staticNames: ReadonlyMap<string, number> = firstIndexes((name) => name);
export const staticEntries: ReadonlyMap<string, number> = firstIndexes((name, value) => `${name}\0${value}`);

function firstIndexes(keyOf: (name: string, value: string) => string): Map<string, number> {
  const indexes = new Map<string, number>();
  for (const [i, [name, value]] of staticPairs.entries()) {
    const key = keyOf(name, value);
    if (!indexes.has(key)) indexes.set(key, i + 1);
  }
  return indexes;
}

/** HPACK's dynamic table, RFC 7541 section 2.3.2: what comes in last has the lowest index, what came in first goes first. */
export class DynamicTable<Entry extends { readonly sizeBytes: number }> {
  /** A ring: entry number `n`, counted since the beginning, lies at `n & mask`. */
  #ring: Array<Entry | undefined> = new Array(16).fill(undefined);
  #mask = 15;
  /** Entries that ever came in, and that went. */
  #inserted = 0;
  #evicted = 0;
  #sizeBytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#inserted - this.#evicted;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The number that the next entry gets. */
  get inserted(): number {
    return this.#inserted;
  }

  /** Entries below this number are gone. */
  get evicted(): number {
    return this.#evicted;
  }

  /** `place` 0 is what came in last. */
  at(place: number): Entry | undefined {
    if (place >= this.count) return undefined;
    return this.#ring[(this.#inserted - 1 - place) & this.#mask];
  }

  /** One that is larger than the table empties it, and is not kept. */
  insert(entry: Entry): void {
    this.#evictTo(this.#maxBytes - entry.sizeBytes);
    if (entry.sizeBytes > this.#maxBytes) return;
    if (this.count > this.#mask) this.#grow();
    this.#ring[this.#inserted & this.#mask] = entry;
    this.#inserted++;
    this.#sizeBytes += entry.sizeBytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.#sizeBytes > bytes && this.#evicted < this.#inserted) {
      const slot = this.#evicted & this.#mask;
      this.#sizeBytes -= (this.#ring[slot] as Entry).sizeBytes;
      this.#ring[slot] = undefined;
      this.#evicted++;
    }
  }

  #grow(): void {
    const mask = this.#mask * 2 + 1;
    const ring: Array<Entry | undefined> = new Array(mask + 1).fill(undefined);
    for (let n = this.#evicted; n < this.#inserted; n++) ring[n & mask] = this.#ring[n & this.#mask];
    this.#ring = ring;
    this.#mask = mask;
  }
}
