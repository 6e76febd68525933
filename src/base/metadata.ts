import { describeValue } from "./options.js";

export type MetadataValue = string | Uint8Array;
export type MetadataInit = Metadata | Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;

/**
 * The key in lower case; throws for one that cannot be sent, naming it as it was `given`. Runs for each entry of each
 * call, so no regex.
 */
function checkedKey(key: string, given = key): string {
  const { length } = key;
  let valid = length > 0 && length <= metadataKeyMaxLength;
  for (let i = 0; valid && i < length; i++) {
    const unit = key.charCodeAt(i);
    if (unit >= 65 && unit <= 90) return checkedKey(key.toLowerCase(), given);
    valid = isKeyUnit(unit);
  }
  if (valid) return key;
  throw new TypeError(
    `metadata key ${JSON.stringify(given)} is not valid: 1 to ${metadataKeyMaxLength} characters of a-z, 0-9, "_", "-", "."`,
  );
}

/** Entries that have arrived and were not looked at yet. */
export interface UnreadMetadata {
  readonly size: number;
  /** Appends them. */
  readInto(metadata: Metadata): void;
  /** As `Metadata.firstIs`. */
  firstIs(key: string, value: Buffer | undefined): boolean;
}

/** What an entry takes besides its key and its value. */
const entryBytes = 64;

/** How many characters a key may have. */
export const metadataKeyMaxLength = 256;

/** True for what a key may be made of: a-z, 0-9, "-", ".", "_". */
export function isKeyUnit(unit: number): boolean {
  return (
    (unit >= 97 && unit <= 122) || (unit >= 48 && unit <= 57) || unit === 45 || unit === 46 || unit === 95
  );
}

/**
 * Key-value pairs that travel beside a message, both ways. Keys are case-insensitive (kept in lower case) and may
 * repeat; a value is text or binary (a `Uint8Array`, read back as a `Buffer`). Order is kept. Text is any string, line
 * breaks and control characters included: who writes a peer's value to a terminal or a log must escape it.
 */
export class Metadata implements Iterable<[key: string, value: string | Buffer]> {
  // Key, value, key, value: most calls carry none to three entries, for which a flat list beats a Map.
  #entries: Array<string | Buffer> | undefined;
  #unread: UnreadMetadata | undefined;

  /** Throws `TypeError` for a key or a value that cannot be sent. */
  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    if (init instanceof Metadata) {
      if (init.size > 0) this.#entries = [...init.#flat];
      return;
    }
    // Those have entries which are no properties: nothing would be sent, without a word.
    if (typeof init !== "object" || init === null || Symbol.iterator in init) {
      throw new TypeError(`metadata: expected an object of keys and values, got ${describeValue(init)}`);
    }
    const keys = Object.keys(init);
    // As long as it will most likely be: the first `push` to an empty list makes room for 17.
    const entries: Array<string | Buffer> = new Array(keys.length * 2);
    let at = 0;
    for (const key of keys) {
      const value = init[key] as MetadataValue | readonly MetadataValue[];
      const valid = checkedKey(key);
      if (Array.isArray(value)) {
        for (const one of value) {
          entries[at++] = valid;
          entries[at++] = checkedValue(key, one);
        }
      } else {
        entries[at++] = valid;
        entries[at++] = checkedValue(key, value as MetadataValue);
      }
    }
    entries.length = at;
    this.#entries = entries;
  }

  static from(init: MetadataInit): Metadata {
    return init instanceof Metadata ? init : new Metadata(init);
  }

  /**
   * Entries as they arrived, turned into text only when somebody looks at them: most handlers never do.
   *
   * @internal
   */
  static unread(unread: UnreadMetadata): Metadata {
    const metadata = new Metadata();
    metadata.#unread = unread;
    return metadata;
  }

  get #flat(): Array<string | Buffer> {
    if (this.#entries === undefined) {
      this.#entries = [];
      const unread = this.#unread;
      this.#unread = undefined;
      unread?.readInto(this);
    }
    return this.#entries;
  }

  /** How many entries, repeats counted. */
  get size(): number {
    return this.#unread?.size ?? (this.#entries === undefined ? 0 : this.#entries.length / 2);
  }

  /**
   * Key, value, key, value: the quick way through all entries. Not to be changed.
   *
   * @internal
   */
  get flat(): ReadonlyArray<string | Buffer> {
    return this.#flat;
  }

  /**
   * About how much memory they take, bytes.
   *
   * @internal
   */
  get heldBytes(): number {
    let bytes = 0;
    for (const part of this.#flat)
      bytes += entryBytes / 2 + (typeof part === "string" ? Buffer.byteLength(part) : part.length);
    return bytes;
  }

  /** The first value of `key`, as it was given: text or binary. */
  get(key: string): string | Buffer | undefined {
    const lower = key.toLowerCase();
    for (let i = 0; i < this.#flat.length; i += 2) if (this.#flat[i] === lower) return this.#flat[i + 1];
    return undefined;
  }

  /** The first value of `key` as text; a binary one is read as UTF-8, with U+FFFD for what is none. */
  getText(key: string): string | undefined {
    return this.get(key)?.toString("utf8");
  }

  /** The first value of `key` as bytes; of text, its UTF-8. */
  getBytes(key: string): Buffer | undefined {
    const value = this.get(key);
    return typeof value === "string" ? Buffer.from(value, "utf8") : value;
  }

  /**
   * Whether the first value of `key`, in lower case, is these bytes; `undefined`: whether there is none. Entries that were not looked
   * at stay unread.
   *
   * @internal
   */
  firstIs(key: string, value: Buffer | undefined): boolean {
    if (this.#unread !== undefined) return this.#unread.firstIs(key, value);
    const first = this.get(key);
    if (first === undefined || value === undefined) return first === value;
    return typeof first === "string" ? Buffer.from(first, "utf8").equals(value) : first.equals(value);
  }

  getAll(key: string): Array<string | Buffer> {
    const lower = key.toLowerCase();
    return this.#flat.filter((_, i) => i % 2 === 1 && this.#flat[i - 1] === lower);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Replaces every value of `key`. */
  set(key: string, value: MetadataValue): this {
    if (this.size === 0) return this.append(key, value);
    // What cannot be sent replaces nothing.
    const [valid, sendable] = [checkedKey(key), checkedValue(key, value)];
    this.delete(valid);
    this.#flat.push(valid, sendable);
    return this;
  }

  append(key: string, value: MetadataValue): this {
    const valid = checkedKey(key);
    const sendable = checkedValue(key, value);
    if (this.size === 0) this.#entries = [valid, sendable];
    else this.#flat.push(valid, sendable);
    return this;
  }

  delete(key: string): void {
    const lower = key.toLowerCase();
    for (let i = this.#flat.length - 2; i >= 0; i -= 2) {
      if (this.#flat[i] === lower) this.#flat.splice(i, 2);
    }
  }

  *[Symbol.iterator](): Iterator<[string, string | Buffer]> {
    for (let i = 0; i < this.#flat.length; i += 2) {
      yield [this.#flat[i] as string, this.#flat[i + 1] as string | Buffer];
    }
  }

  /** For logs and JSON: repeated keys become arrays, binary values base64, and what proves who calls (`authorization`) `***`. */
  toJSON(): Record<string, string | string[]> {
    // Without a prototype: "constructor" and "__proto__" are keys a peer may send.
    const result: Record<string, string | string[]> = Object.create(null);
    for (const [key, value] of this) {
      const shown = typeof value === "string" ? value : value.toString("base64");
      const text = key === "authorization" ? "***" : shown;
      const before = result[key];
      result[key] = before === undefined ? text : [...(Array.isArray(before) ? before : [before]), text];
    }
    return result;
  }
}

function checkedValue(key: string, value: MetadataValue): string | Buffer {
  if (typeof value === "string") return value;
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(`metadata ${key}: a value is a string or a Uint8Array, not ${typeof value}`);
  }
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
