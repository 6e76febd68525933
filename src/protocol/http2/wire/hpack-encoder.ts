import type { Writer } from "../../../protobuf/writer.js";
import { defaultTableBytes } from "./frame.js";
import { entryOverheadBytes } from "./header-field.js";
import { huffmanBytes, huffmanEncode } from "./huffman.js";
import { DynamicTable, staticCount, staticEntries, staticNames } from "./tables.js";

/**
 * How a field is sent. `table`: the peer keeps it, and from then on it costs a byte or two; for what most messages have. `name`:
 * the peer keeps its name; for values that differ each time. `plain`: neither. `never`: neither, and intermediaries must not
 * keep it either; for secrets.
 */
export type Indexing = "table" | "name" | "plain" | "never";

/**
 * A field to send. The name is in lower case, pseudo fields come first, and neither has a character that HTTP forbids: nothing
 * of that is checked here. Each character becomes one byte (latin1).
 */
export interface OutgoingField {
  readonly name: string;
  readonly value: string;
  /** Default `plain`. */
  readonly indexing?: Indexing;
}

/** Fields that are sent again and again, as one encoder writes them. Made by `HpackEncoder.prepare`. */
export class PreparedHeaders {
  readonly fields: readonly OutgoingField[];
  /** @internal What they are while the encoder's table is at `version`. */
  bytes: Uint8Array = noBytes;
  /** @internal */
  version = -1;

  /** @internal */
  constructor(fields: readonly OutgoingField[]) {
    this.fields = fields;
  }
}

interface Entry {
  readonly sizeBytes: number;
}

const noBytes = new Uint8Array(0);
/** A full table is emptied after this many blocks, since its fields may no longer be in use. */
const blocksPerTable = 1024;
/** Bytes of an integer at most, as we use them. */
const integerBytes = 6;

/** Writes the header blocks of one connection, RFC 7541, in the order they are sent. Pure: fields in, bytes out. */
export class HpackEncoder {
  readonly #table = new DynamicTable<Entry>(defaultTableBytes);
  /** The number of the entry with a name and value, and of the last one with a name. */
  readonly #entries = new Map<string, number>();
  readonly #names = new Map<string, number>();
  /** Counts changes of the table: indexes hold until the next. */
  #version = 0;
  #maxBytes = defaultTableBytes;
  /** The next block must announce that the table was emptied. */
  #tellsSize = false;
  #full = false;
  #blocks = 0;

  prepare(fields: readonly OutgoingField[]): PreparedHeaders {
    return new PreparedHeaders(fields);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We use 4096 bytes at most. */
  setTableMax(bytes: number): void {
    const maxBytes = Math.min(bytes, defaultTableBytes);
    if (maxBytes !== this.#maxBytes) this.#empty(maxBytes);
  }

  #empty(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#table.resize(0);
    this.#table.resize(maxBytes);
    this.#entries.clear();
    this.#names.clear();
    this.#version++;
    this.#tellsSize = true;
    this.#full = false;
    this.#blocks = 0;
  }

  /** Appends a block to `out`. The block must be sent, and in this order, since it changes the peer's table. */
  encode(out: Writer, prepared: PreparedHeaders | undefined, extra?: readonly OutgoingField[]): void {
    this.#blocks++;
    if (this.#full && this.#blocks > blocksPerTable) this.#empty(this.#maxBytes);
    if (this.#tellsSize) {
      this.#tellsSize = false;
      this.#integer(out, 0x20, 0x1f, 0);
      if (this.#maxBytes > 0) this.#integer(out, 0x20, 0x1f, this.#maxBytes);
    }
    if (prepared !== undefined) this.#prepared(out, prepared);
    if (extra !== undefined) for (const field of extra) this.#field(out, field);
  }

  #prepared(out: Writer, prepared: PreparedHeaders): void {
    if (prepared.version === this.#version) {
      const { bytes } = prepared;
      const { length } = bytes;
      out.ensure(length);
      const { buffer, position } = out;
      if (length > 64) buffer.set(bytes, position);
      else for (let i = 0; i < length; i++) buffer[position + i] = bytes[i] as number;
      out.position = position + length;
      return;
    }
    const start = out.position;
    const before = this.#version;
    for (const field of prepared.fields) this.#field(out, field);
    // A field just added to the table is written in full here, and by its index from now on.
    if (before !== this.#version) return;
    prepared.bytes = Uint8Array.prototype.slice.call(out.buffer, start, out.position);
    prepared.version = this.#version;
  }

  #field(out: Writer, { name, value, indexing = "plain" }: OutgoingField): void {
    const exact = indexing === "table" ? this.#exact(name, value) : undefined;
    if (exact !== undefined) {
      this.#integer(out, 0x80, 0x7f, exact);
      return;
    }
    const named = staticNames.get(name) ?? this.#indexOf(this.#names.get(name));
    const keep = indexing === "table" || (indexing === "name" && named === undefined);
    const sizeBytes = name.length + value.length + entryOverheadBytes;
    const fits = this.#table.sizeBytes + sizeBytes <= this.#maxBytes;
    if (keep && fits) this.#integer(out, 0x40, 0x3f, named ?? 0);
    else this.#integer(out, indexing === "never" ? 0x10 : 0, 0x0f, named ?? 0);
    if (named === undefined) this.#string(out, name, keep);
    this.#string(out, value, keep);
    if (!keep) return;
    if (fits) this.#insert(name, value, sizeBytes);
    else if (sizeBytes <= this.#maxBytes) this.#full = true;
  }

  #insert(name: string, value: string, sizeBytes: number): void {
    const number = this.#table.inserted;
    this.#table.insert({ sizeBytes });
    this.#entries.set(`${name}\0${value}`, number);
    this.#names.set(name, number);
    this.#version++;
  }

  #exact(name: string, value: string): number | undefined {
    const key = `${name}\0${value}`;
    return staticEntries.get(key) ?? this.#indexOf(this.#entries.get(key));
  }

  #indexOf(number: number | undefined): number | undefined {
    return number === undefined ? undefined : staticCount + this.#table.inserted - number;
  }

  #integer(out: Writer, pattern: number, mask: number, value: number): void {
    out.ensure(integerBytes);
    const { buffer } = out;
    if (value < mask) {
      buffer[out.position++] = pattern | value;
      return;
    }
    buffer[out.position++] = pattern | mask;
    let rest = value - mask;
    while (rest > 127) {
      buffer[out.position++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    buffer[out.position++] = rest;
  }

  /** `compact`: it is sent once and kept, so its size counts more than the time it takes. */
  #string(out: Writer, text: string, compact: boolean): void {
    const coded = compact ? huffmanBytes(text) : text.length;
    if (coded < text.length) {
      this.#integer(out, 0x80, 0x7f, coded);
      out.ensure(coded);
      out.position = huffmanEncode(text, out.buffer, out.position);
      return;
    }
    const { length } = text;
    this.#integer(out, 0, 0x7f, length);
    out.ensure(length);
    const { buffer, position } = out;
    if (length > 32) buffer.write(text, position, "latin1");
    else for (let i = 0; i < length; i++) buffer[position + i] = text.charCodeAt(i);
    out.position = position + length;
  }
}
